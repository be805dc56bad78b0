"""Vocos: exact lengths, and what its start already knows of level and spectral envelope."""

import pytest
import torch

from semanticodec.audio.mel import Mel
from semanticodec.decoder.vocos import Vocos

SMALL = {"width": 16, "hidden": 16, "num_layers": 1}


def noise(level: float) -> torch.Tensor:
    torch.manual_seed(0)
    return level * torch.randn(1, 16_000)


@pytest.mark.parametrize("has_shortcut", [False, True])
@pytest.mark.parametrize("num_frames", [1, 2, 37])
def test_a_frame_gives_160_samples(num_frames, has_shortcut):
    vocos = Vocos(Vocos.Config(**SMALL, mel_shortcut=has_shortcut))
    wav = vocos(torch.full((2, num_frames, 64), -5.0))
    assert wav.shape == (2, 160 * num_frames) and wav.isfinite().all()


@pytest.mark.parametrize("level", [1e-3, 1e-2, 0.2])
def test_the_shortcut_starts_as_the_spectral_envelope(level):
    vocos = Vocos(Vocos.Config(**SMALL, mel_shortcut=True))
    torch.nn.init.zeros_(vocos.spectrum.weight)
    torch.nn.init.zeros_(vocos.spectrum.bias)
    # Flat noise with its upper half weakened by 40 dB.
    spectrum = torch.fft.rfft(noise(level))
    spectrum[:, 4000:] *= 0.01
    wav = torch.fft.irfft(spectrum)
    window = torch.hann_window(640)
    lines = torch.stft(wav, 640, 160, window=window, return_complex=True).abs().square()
    with torch.no_grad():
        magnitude, _ = vocos.spectrogram(Mel()(wav))
    error = (magnitude.square().mean(dim=1) / lines.mean(dim=2))[0].log()
    for band in (slice(10, 150), slice(170, 310)):
        assert error[band].abs().mean() < 0.5


def test_an_untrained_vocoder_tells_levels_apart():
    torch.manual_seed(1)
    vocos = Vocos(Vocos.Config(**SMALL))
    quiet, loud = (
        vocos.norm_in(vocos.conv_in(torch.full((1, 64, 9), float(level)))[:, :, 4])
        for level in (-9, -3)
    )
    assert torch.cosine_similarity(quiet, loud).item() < 0.6


def test_levels_far_too_high_give_finite_gradients():
    vocoder = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1, mel_shortcut=True))
    mel = torch.full((1, 4, 64), 500.0, requires_grad=True)
    wav = vocoder(mel)
    assert wav.isfinite().all()
    wav.square().mean().backward()
    assert mel.grad is not None and mel.grad.isfinite().all()


def test_sound_has_no_constant_part():
    vocoder = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1, mel_shortcut=True))
    magnitude, _ = vocoder.spectrogram(torch.zeros(1, 4, 64))
    assert (magnitude[..., 0] == 0).all() and (magnitude[..., 1:] > 0).all()


def test_operations_can_be_counted_without_computing():
    vocoder = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1, mel_shortcut=True)).to("meta")
    assert vocoder(torch.zeros(1, 4, 64, device="meta")).shape == (1, 640)
