"""Specifications of features, and what their vectors are."""

from pathlib import Path
from typing import Any

import pytest
import torch

from probe_tasks import tone
from semanticodec import SemantiCodec
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.evaluation.semantics.embeddings import (
    group_features,
    open_embedder,
    parse_features,
)
from semanticodec.evaluation.semantics.features import Embedder
from semanticodec.evaluation.systems.base import resampled


def wav(pitch_hz: float = 440, num_samples: int = 8000) -> torch.Tensor:
    return torch.from_numpy(tone(pitch_hz, seed=0, num_samples=num_samples))


def opened(*texts: str) -> Embedder:
    (group,) = group_features(texts)
    return open_embedder(group)


def test_layers_follow_the_last_colon() -> None:
    parsed = parse_features("model:path=some/folder,rate=50,name=ours,layers=semantic")
    assert parsed.layers == "semantic"
    assert parsed.spec.options["path"] == "some/folder" and parsed.spec.options["rate"] == "50"
    assert parsed.name == "ours:semantic"
    assert parse_features("model").name == "model:all"
    assert parse_features("log-mel").name == "log-mel"
    assert parse_features(r"model:path=C:\models\ours").spec.options["path"] == r"C:\models\ours"
    assert parse_features("model:path=C:/ours,layers=continuous").layers == "continuous"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "mfcc",
            "there are no features 'mfcc'; choose from model, codes, encodec, dac, log-mel",
        ),
        ("model:layers=first", "'model' has no layers 'first'; it has all, semantic, acoustic"),
        ("log-mel:layers=all", "'log-mel' has no layers 'all'; it has none, so leave layers out"),
        ("log-mel:path=x", "the system 'log-mel' has no option 'path'; choose from name"),
        ("model:rat=50", "has no option 'rat'"),
        ("encodec:layers=first", "lacks its kbps; write encodec:kbps=KBPS"),
        ("dac:layers=semantic", "'dac' has no layers 'semantic'; it has all, first"),
    ],
)
def test_wrong_specifications_are_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        parse_features(text)


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two features are called 'model:all'"):
        group_features(["model:layers=all", "log-mel", "model"])
    assert len(group_features(["model:layers=all", "model:name=b"])) == 2


def test_features_of_one_model_are_computed_together() -> None:
    groups = group_features(
        ["model:layers=all", "log-mel", "model:layers=semantic", "model:vocab=4096"]
    )
    names = [[spec.name for spec in group] for group in groups]
    assert names == [["model:all", "model:semantic"], ["log-mel"], ["model:vocab=4096:all"]]


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckpointError, match="nowhere is no model folder"):
        opened("model:path=./nowhere")


def test_model_vectors_are_means_of_the_codecs_features(
    tiny_folder: Path, tiny_codec: SemantiCodec
) -> None:
    layers = ("semantic", "all", "continuous", "acoustic")
    embedder = opened(*(f"model:path={tiny_folder},layers={name}" for name in layers))
    for name, vector in zip(layers, embedder.embed(wav())):
        features = tiny_codec.features(wav(), name)[0]
        bands = [features[band::8].mean(dim=0) for band in range(8)]
        torch.testing.assert_close(vector, torch.cat(bands))


def test_model_rows_state_the_rate_of_their_codes(tiny_folder: Path) -> None:
    specs = [
        f"model:path={tiny_folder},layers={name}" for name in ("all", "semantic", "continuous")
    ]
    both, semantic, continuous = opened(*specs).features
    # Vocabularies of 128 and 64: 7 + 6 bits at 50 positions per second.
    assert both.bits_per_second == 650 and both.details["tokens_per_second"] == 100
    assert semantic.bits_per_second == 350 and semantic.details["tokens_per_second"] == 50
    assert continuous.bits_per_second is None and "tokens_per_second" not in continuous.details
    assert both.details["layers"] == "all" and "fingerprint" in both.details
    assert str(tiny_folder) not in str(both.details)


def test_other_weights_and_settings_change_the_fingerprint(tiny_folder: Path) -> None:
    specs = (f"model:path={tiny_folder}", "model:vocab=4096", "model:vocab=8192")
    assert len({opened(spec).fingerprint for spec in specs}) == 3


def test_log_mel_statistics() -> None:
    (mean,) = opened("log-mel").embed(wav())
    (both,) = opened("log-mel-stats").embed(wav())
    assert mean.shape == (128,) and both.shape == (256,)
    assert torch.equal(both[:128], mean)
    # A steady tone says the same at any length, and is loudest in its own bin.
    (longer,) = opened("log-mel").embed(wav(num_samples=16_000))
    peak = mean.argmax()
    assert longer.argmax() == peak and abs(longer[peak] - mean[peak]) < 0.05
    (higher,) = opened("log-mel").embed(wav(880))
    assert higher.argmax() > peak
    assert both[128 + int(peak)] < 0.1  # the tone's bin is steady, those of the noise are not
    assert both[128:].max() > 0.5


@pytest.fixture(scope="module")
def peer_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random models of the two other codecs."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    encodec = transformers.EncodecConfig(
        hidden_size=16, num_filters=2, codebook_size=16, codebook_dim=16, num_lstm_layers=1
    )
    dac = transformers.DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=16,
        hidden_size=16,
        downsampling_ratios=[2, 4],
        upsampling_ratios=[4, 2],
        codebook_size=16,
        codebook_dim=4,
        n_codebooks=3,
    )
    models = {"encodec": transformers.EncodecModel(encodec), "dac": transformers.DacModel(dac)}
    folders = {}
    for name, model in models.items():
        for key, tensor in model.state_dict().items():
            if "codebook.embed" in key:  # EnCodec starts with empty books
                tensor.normal_()
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
    return folders


def resampled_wav(rate_hz: int) -> torch.Tensor:
    samples = resampled(wav(num_samples=1600).numpy(), 16_000, rate_hz)
    return torch.from_numpy(samples).view(1, 1, -1)


def decoder_inputs(model: Any, run: Any) -> torch.Tensor:
    """Return what a model's decoder receives while `run()`."""
    seen = []
    handle = model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    run()
    handle.remove()
    return seen[0]


# Books of 16 entries: 4 bits, 75 times a second in EnCodec.
@pytest.mark.parametrize(("spec", "num_books"), [("encodec:kbps=6.0", 20), ("dac:books=2", 2)])
def test_peer_vectors_are_the_mean_of_what_the_decoder_sees(
    peer_folders: dict[str, Path], spec: str, num_books: int
) -> None:
    kind = spec.partition(":")[0]
    text = f"{spec},path={peer_folders[kind]}"
    embedder: Any = opened(f"{text},layers=all", f"{text},layers=first")
    with torch.inference_mode():
        both, first = embedder.embed(wav(num_samples=1600))
        codes = embedder.codes(resampled_wav(embedder.rate_hz))
        decode = {
            "encodec": lambda: embedder.model.decode(codes[None], [None]),
            "dac": lambda: embedder.model.decode(audio_codes=codes),
        }
        seen = decoder_inputs(embedder.model, decode[kind])
    torch.testing.assert_close(both, seen[0].mean(dim=-1))
    assert codes.shape[1] == num_books
    assert both.shape == first.shape and not torch.allclose(both, first)
    all_row, first_row = embedder.features
    assert all_row.bits_per_second == num_books * first_row.bits_per_second
    assert first_row.bits_per_second == 4 * first_row.details["tokens_per_second"]


def test_a_peers_fingerprint_follows_its_weights(
    peer_folders: dict[str, Path], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    text = f"dac:path={peer_folders['dac']}"
    model = transformers.DacModel.from_pretrained(peer_folders["dac"])
    with torch.no_grad():
        model.quantizer.quantizers[0].codebook.weight.add_(1)
    changed = tmp_path / peer_folders["dac"].name
    model.save_pretrained(changed)
    assert opened(text).fingerprint == opened(text).fingerprint
    assert opened(text).fingerprint != opened(f"dac:path={changed}").fingerprint
