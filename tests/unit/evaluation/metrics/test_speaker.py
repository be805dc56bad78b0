"""Speaker similarity comes from a model that the user names, and from nothing else."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semanticodec.errors import AudioError, CheckpointError, ConfigError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Pair, Resources
from semanticodec.evaluation.metrics.speaker import SPEAKER


def noise(seed: int, num_samples: int = 16_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny WavLM with an x-vector head and random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        tdnn_dim=(16, 16, 16, 16, 32),
        xvector_output_dim=8,
    )
    folder = tmp_path_factory.mktemp("speakers")
    transformers.WavLMForXVector(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def test_a_clip_is_its_own_speaker_at_any_level(folder):
    model = SPEAKER.opened(Resources(speaker_model=str(folder)))
    assert model.name == folder.name
    same, quieter, other = (
        SPEAKER.measure(Pair(noise(0), decoded), model)[0]
        for decoded in (noise(0), noise(0) / 4, noise(1))
    )
    assert same == pytest.approx(1.0, abs=1e-5)
    assert quieter == pytest.approx(1.0, abs=1e-3)
    assert -1 <= other < same


def test_clips_without_a_voice_are_refused(folder):
    model = SPEAKER.opened(Resources(speaker_model=str(folder)))
    short, silence = noise(0, 4000), np.zeros(16_000, dtype=np.float32)
    with pytest.raises(AudioError, match=r"0\.25 s is too short to know a voice"):
        SPEAKER.measure(Pair(short, short), model)
    with pytest.raises(AudioError, match="decoded clip is silent"):
        SPEAKER.measure(Pair(noise(0), silence), model)


def test_a_model_has_to_be_named(monkeypatch):
    with pytest.raises(ConfigError, match="give --speaker-model FOLDER"):
        SPEAKER.opened(Resources())
    with pytest.raises(ConfigError, match="'./no/such' is neither a folder nor a Hub id"):
        SPEAKER.opened(Resources(speaker_model="./no/such"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"'semanticodec\[peers\]'"):
        SPEAKER.opened(Resources(speaker_model="owner/name"))


def test_weights_that_are_missing_are_not_drawn_at_random(folder, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    weights = safetensors.load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if "feature_extractor." not in key}
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    safetensors.save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = SPEAKER.opened(Resources(speaker_model=str(tmp_path)))
    with pytest.raises(CheckpointError, match="weights of a speaker model"):
        model.embed(noise(0))
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="could not be loaded"):
        SPEAKER.opened(Resources(speaker_model=str(tmp_path))).embed(noise(0))
