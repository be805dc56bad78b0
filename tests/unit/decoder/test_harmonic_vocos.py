"""Laws of the vocoder with a harmonic source."""

import torch

from semanticodec.audio.mel import Mel
from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.pitch import Pitch, PitchEstimator

SMALL = HarmonicVocos.Config(
    width=16,
    hidden=16,
    num_layers=1,
    mel_shortcut=True,
    pitch=PitchEstimator.Config(width=8, hidden=8, num_layers=1),
)


def vocoder_with(frequency, voicing):
    torch.manual_seed(0)
    vocoder = HarmonicVocos(SMALL).eval()
    shape = lambda mel: mel.shape[:2]  # noqa: E731
    vocoder.pitch.pitch = lambda mel: Pitch(
        torch.full(shape(mel), frequency), torch.full(shape(mel), voicing)
    )
    return vocoder


@torch.no_grad()
def test_an_untrained_vocoder_already_has_the_harmonics_of_its_pitch():
    noise = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    mel = Mel()(noise)
    wav = vocoder_with(200.0, 1.0)(mel)
    assert wav.shape == (1, 16000)
    # Lines of 1 Hz.
    energy = torch.fft.rfft(wav[0] * torch.hann_window(16000)).abs().square()
    harmonics = energy[200:6001:200].mean()
    between = energy[300:6001:200].mean()
    assert harmonics > 5 * between


@torch.no_grad()
def test_without_voice_the_source_says_nothing():
    mel = torch.randn(1, 20, 64) - 5
    vocoder = vocoder_with(200.0, 0.0)
    assert (vocoder.source(vocoder.pitch.pitch(mel)) == 1).all()
    assert torch.equal(vocoder(mel), vocoder_with(321.0, 0.0)(mel))


def test_gradients_reach_the_mel_and_all_weights_but_those_of_the_pitch():
    vocoder = HarmonicVocos(SMALL)
    mel = (torch.randn(1, 20, 64) - 5).requires_grad_()
    vocoder(mel).square().sum().backward()
    assert mel.grad is not None and mel.grad.abs().sum() > 0
    for name, parameter in vocoder.named_parameters():
        assert (parameter.grad is None) == name.startswith("pitch."), name
