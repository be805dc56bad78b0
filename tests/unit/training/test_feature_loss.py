"""Losses of frozen features, with a Whisper of a few weights that the test makes."""

import json

import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.errors import CheckpointError
from semanticodec.training.feature_loss import AudioMAETeacher, FeatureLoss, WhisperTeacher

SIZES = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "vocab_size": 51865,
}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(**SIZES)).save_pretrained(folder)
    return folder


@pytest.fixture(params=["whisper", "audiomae"])
def teacher(request, whisper):
    if request.param == "whisper":
        return WhisperTeacher(whisper)
    torch.manual_seed(0)
    return AudioMAETeacher(AudioMAE(AudioMAE.Config(width=8, depth=3, num_heads=2)))


def noise(seed, num_samples=8000):
    return 0.1 * torch.randn(2, num_samples, generator=torch.Generator().manual_seed(seed))


def test_equal_waveforms_have_no_distance_and_others_have(teacher):
    loss, real = FeatureLoss(teacher), noise(0)
    assert loss(real, real) == 0
    near, far = loss(real + 0.01 * noise(1), real), loss(noise(1), real)
    assert 0 < near < far < 10


def test_gradients_reach_the_waveform_and_not_the_teacher(teacher):
    generated = noise(1).requires_grad_()
    FeatureLoss(teacher)(generated, noise(0)).backward()
    # AudioMAE sees whole patches of 0.16 s.
    seen = generated.grad.abs() > 0
    assert seen[:, 1000:7000].float().mean() > 0.9
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_any_length_is_taken_one_after_the_other(teacher):
    loss = FeatureLoss(teacher)
    distances = [loss(noise(1, length), noise(0, length)) for length in (8000, 12800, 8000)]
    assert distances[0] == distances[2]


def test_whisper_sees_what_its_own_extractor_makes(whisper):
    wav = noise(0, 480_000)[:1]
    extract = WhisperFeatureExtractor()
    wanted = extract(wav[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    found = WhisperTeacher(whisper).log_mel(wav)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-3


def test_whole_windows_give_what_the_encoder_gives(whisper):
    teacher = WhisperTeacher(whisper)
    wav = noise(0, 480_000)[:1]
    own = WhisperModel.from_pretrained(whisper).encoder.eval()
    with torch.no_grad():
        assert torch.equal(teacher(wav)[-1], own(teacher.log_mel(wav)).last_hidden_state)
        start = teacher(wav[:, :32_000])[-1]
    assert start.shape == (1, 100, 16)


def test_what_is_no_whisper_is_refused(tmp_path, whisper):
    with pytest.raises(CheckpointError, match="no Whisper could be loaded"):
        WhisperTeacher(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((whisper / "model.safetensors").read_bytes())
    config = json.loads((whisper / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "encoder_layers": 3}))
    with pytest.raises(CheckpointError, match="lacks .* weights of Whisper's encoder"):
        WhisperTeacher(tmp_path)
