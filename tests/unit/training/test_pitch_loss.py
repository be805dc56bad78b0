"""Laws of the pitch loss, on tones that the test makes."""

import math

import pytest
import torch

from semanticodec.decoder.pitch import NUM_PITCHES, STEPS_PER_OCTAVE, PitchLogits
from semanticodec.training.pitch_loss import frequencies, pitch_loss


def voice(frequency, seconds=1.0):
    time = torch.arange(int(16000 * seconds)) / 16000
    tones = [torch.cos(2 * math.pi * frequency * h * time) / h for h in range(1, 12)]
    return 0.1 * torch.stack(tones).sum(dim=0)


def test_the_pitch_of_a_voice_is_found_and_noise_has_none():
    pytest.importorskip("swift_f0")
    wav = torch.stack([voice(150.0), 0.1 * torch.randn(16000)])
    found = frequencies(wav, 160)
    assert found.shape == (2, 100)
    middle = found[0, 10:-10]
    assert ((middle / 150.0).log2().abs() < 0.03).all()
    assert (found[1] == 0).float().mean() > 0.9


def logits_of(frequency, voicing):
    steps = torch.arange(NUM_PITCHES)
    best = STEPS_PER_OCTAVE * torch.log2(frequency / 50.0)
    return PitchLogits(-0.5 * (steps - best.unsqueeze(-1)).square(), voicing)


def test_the_loss_is_least_at_the_truth_and_sees_errors_of_either_kind():
    frequency = torch.tensor([[100.0, 200.0, 0.0]])
    sure = torch.tensor([[9.0, 9.0, -9.0]])
    asked = frequency.clamp_min(50.0)
    best = pitch_loss(logits_of(asked, sure), frequency)
    assert pitch_loss(logits_of(1.1 * asked, sure), frequency) > best + 1
    assert pitch_loss(logits_of(asked, -sure), frequency) > best + 1


def test_frames_without_voice_say_nothing_about_the_pitch():
    frequency = torch.zeros(1, 4)
    logits = torch.randn(1, 4, NUM_PITCHES, requires_grad=True)
    pitch_loss(PitchLogits(logits, torch.zeros(1, 4)), frequency).backward()
    assert logits.grad is None or logits.grad.abs().sum() == 0
