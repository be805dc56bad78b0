"""How unlike envelopes are: what they have in common whatever their level."""

import pytest
import torch

from semanticodec.audio.envelope_distance import envelope_distance

FRAMES, BINS = 100, 16


@pytest.fixture
def target():
    torch.manual_seed(0)
    return torch.randn(2, FRAMES, BINS).cumsum(dim=1) * 0.3 - 4.0


def test_levels_of_bands_do_not_matter_but_what_happens_in_them_does(target):
    gains = torch.linspace(-2.0, 2.0, BINS // 4).repeat_interleave(4)
    assert envelope_distance(target, target).abs() < 1e-5
    assert envelope_distance(target + gains, target).abs() < 1e-5
    assert envelope_distance(target.flip(1), target) > 0.3
    flat = target.mean(dim=1, keepdim=True).expand_as(target)
    assert envelope_distance(flat, target) > 0.3


def test_a_nearer_envelope_is_less_far(target):
    noise = torch.randn_like(target)
    distances = [envelope_distance(target + share * noise, target) for share in (0.2, 0.5, 1.0)]
    assert 0 < distances[0] < distances[1] < distances[2] < 1


def test_silence_and_steady_tones_are_alike_to_themselves_and_have_gradients(target):
    silence = torch.full((1, FRAMES, BINS), -11.5)
    tone = silence.clone()
    tone[:, :, 5] = -1.0
    for steady in (silence, tone):
        mel = (steady + 0.01 * torch.randn_like(steady)).requires_grad_()
        distance = envelope_distance(mel, steady)
        distance.backward()
        assert distance < 0.01
        assert mel.grad is not None and mel.grad.isfinite().all()


def test_what_is_40_db_softer_does_not_count(target):
    target[:, :, 8:] -= 10.0
    mel = target.clone()
    mel[:, :, 8:] = mel[:, :, 8:].flip(1)
    assert envelope_distance(mel, target).abs() < 1e-5
