"""The laws of HEAR's interface: sizes, milliseconds, and no influence of one sound on another."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import random_codec
from semanticodec import SemantiCodec
from semanticodec.errors import AudioError, CheckpointError, ConfigError
from semanticodec.evaluation.semantics.hear import (
    LAYERS,
    HearModel,
    get_scene_embeddings,
    get_timestamp_embeddings,
    load_model,
)


def noise(num_sounds: int, num_samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(num_sounds, num_samples, generator=generator).clamp(-1, 1)


@pytest.mark.parametrize("layers", LAYERS)
def test_embeddings_have_the_sizes_that_the_model_states(
    tiny_codec: SemantiCodec, layers: str
) -> None:
    model = HearModel(tiny_codec, layers)
    assert isinstance(model, torch.nn.Module)
    assert model.sample_rate == 16_000
    assert type(model.scene_embedding_size) is int
    audio = noise(2, 8000)
    scenes = get_scene_embeddings(audio, model)
    embeddings, timestamps = get_timestamp_embeddings(audio, model)
    assert scenes.shape == (2, model.scene_embedding_size) and scenes.dtype == torch.float32
    assert embeddings.shape == (2, 4, model.timestamp_embedding_size)
    assert timestamps.shape == (2, 4)


@pytest.mark.parametrize("num_samples", [400, 2560, 2561, 16_000, 163_840, 163_841, 200_000])
def test_timestamps_are_the_centers_of_the_steps_in_milliseconds(
    tiny_codec: SemantiCodec, num_samples: int
) -> None:
    embeddings, timestamps = get_timestamp_embeddings(noise(1, num_samples), HearModel(tiny_codec))
    num_steps = -(-num_samples // 2560)
    expected = torch.arange(num_steps) * 160.0 + 80.0
    assert embeddings.shape[1] == num_steps
    assert torch.equal(timestamps[0], expected)
    # The sound's end lies within the last step.
    duration_ms = num_samples / 16
    assert timestamps[0, -1] - 80 < duration_ms <= timestamps[0, -1] + 80


@pytest.mark.parametrize(("token_rate", "step_ms"), [(100, 160), (50, 160), (25, 320)])
def test_steps_follow_the_token_rate(token_rate: int, step_ms: int) -> None:
    model = HearModel(random_codec(token_rate))
    embeddings, timestamps = get_timestamp_embeddings(noise(1, 20_000), model)
    assert timestamps[0, 0] == step_ms / 2
    assert torch.all(timestamps.diff(dim=1) == step_ms)
    assert embeddings.shape[1] == -(-20_000 // (16 * step_ms))


def test_the_scene_is_the_mean_over_the_timestamps(tiny_codec: SemantiCodec) -> None:
    model, audio = HearModel(tiny_codec), noise(2, 170_000)
    embeddings, _ = get_timestamp_embeddings(audio, model)
    torch.testing.assert_close(embeddings.mean(dim=1), get_scene_embeddings(audio, model))


def test_sounds_do_not_depend_on_their_batch(tiny_codec: SemantiCodec) -> None:
    model, audio = HearModel(tiny_codec), noise(3, 30_000)
    together = get_scene_embeddings(audio, model)
    steps, _ = get_timestamp_embeddings(audio, model)
    for index in range(3):
        alone = audio[index : index + 1]
        assert torch.equal(get_scene_embeddings(alone, model)[0], together[index])
        assert torch.equal(get_timestamp_embeddings(alone, model)[0][0], steps[index])
    assert not torch.equal(together[0], together[1])


def test_an_event_shows_in_the_embedding_of_its_time() -> None:
    model = load_model("", "continuous")
    silent = torch.zeros(1, 32_000)
    loud = silent.clone()
    loud[0, 16_000:17_280] = noise(1, 1280)[0]  # 1000 to 1080 ms: the step centered at 1040
    before, timestamps = get_timestamp_embeddings(silent, model)
    after, _ = get_timestamp_embeddings(loud, model)
    moved = (after - before).norm(dim=-1)[0]
    assert timestamps[0, moved.argmax()] == 1040


def test_layers_come_by_argument_or_by_suffix(tiny_folder: Path) -> None:
    audio = noise(1, 5000)
    by_suffix = load_model(f"{tiny_folder}:semantic")
    by_argument = load_model(tiny_folder, "semantic")
    assert by_suffix.layers == by_argument.layers == "semantic"
    assert torch.equal(
        get_scene_embeddings(audio, by_suffix), get_scene_embeddings(audio, by_argument)
    )
    assert load_model(str(tiny_folder)).layers == "all"
    both = get_scene_embeddings(audio, load_model(tiny_folder))
    by_band = both.unflatten(1, (8, -1))
    semantic = by_band[:, :, by_band.shape[2] // 2 :].flatten(1)
    assert torch.equal(semantic, get_scene_embeddings(audio, by_suffix))


def test_the_empty_path_is_the_built_in_model() -> None:
    model = load_model("", semantic_vocab_size=4096)
    assert model.codec.semantic_vocab_size == 4096
    assert load_model(":continuous").layers == "continuous"


@pytest.mark.usefixtures("unchecked_shapes")
def test_wrong_input_is_explained(tiny_folder: Path, tiny_codec: SemantiCodec) -> None:
    with pytest.raises(ConfigError, match="layers is 'first'; choose one of all, semantic"):
        load_model(tiny_folder, "first")
    with pytest.raises(CheckpointError, match="no model folder"):
        load_model("./nowhere")
    model = HearModel(tiny_codec)
    with pytest.raises(AudioError, match=r"\(4000,\) is not \[n_sounds, n_samples\]"):
        get_scene_embeddings(torch.zeros(4000), model)
    with pytest.raises(AudioError, match="400"):
        get_timestamp_embeddings(torch.zeros(1, 399), model)


def test_it_can_be_imported_where_only_the_package_is_installed() -> None:
    optional = ("pandas", "scipy", "sklearn", "transformers", "pebble", "matplotlib")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({optional}))\n"
        "from semanticodec.evaluation.semantics.hear import load_model"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
