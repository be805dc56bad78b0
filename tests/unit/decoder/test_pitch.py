"""Laws of the pitch and of the pulses made from it."""

import math

import pytest
import torch

from semanticodec.decoder.pitch import (
    LOWEST_PITCH,
    NUM_PITCHES,
    STEPS_PER_OCTAVE,
    PitchEstimator,
    PitchLogits,
    pulses,
)

HOP = 160


def steady(frequency, frames=100):
    return torch.full((1, frames), frequency)


def levels(wav):
    """Return the level of every 10 Hz line, in dB."""
    spectrum = torch.fft.rfft(wav[0, :8000] * torch.hann_window(8000)).abs()
    return 20 * spectrum.clamp_min(1e-9).log10()[::5]


@pytest.mark.parametrize("frequency", [100.0, 130.0, 440.0])
def test_pulses_have_all_harmonics_at_one_level_and_nothing_between(frequency):
    lines = levels(pulses(steady(frequency), HOP))
    harmonics = torch.arange(1, int(7000 / frequency)) * int(frequency) // 10
    assert lines[harmonics].std() < 0.5
    between = (harmonics[:-1] + harmonics[1:]) // 2
    assert lines[between].max() < lines[harmonics].min() - 40


@pytest.mark.parametrize("frequency", [60.0, 117.3, 250.0, 790.0])
def test_pulses_have_the_variance_of_unit_noise_whatever_the_pitch(frequency):
    wav = pulses(steady(frequency, 400), HOP)
    assert wav.square().mean().item() == pytest.approx(1.0, abs=0.1)


def test_the_phase_runs_on_over_minutes():
    """A sum of single precision would have drifted by a good part of a cycle."""
    frames = 3000
    wav = pulses(steady(173.7, frames), HOP)[0].double()
    last = torch.arange(frames * HOP - 1600, frames * HOP) + 1
    phase = 2 * math.pi * 173.7 / 16000 * last.double()
    first = (torch.exp(-1j * phase) * wav[-1600:]).mean().angle()
    assert abs(first.item()) < 0.1


def test_the_pitch_is_the_mean_of_the_logits_around_the_highest(monkeypatch):
    estimator = PitchEstimator(PitchEstimator.Config(width=8, hidden=8, num_layers=1))
    steps = torch.arange(NUM_PITCHES)
    logits = (-0.5 * (steps - 40.5).square()).expand(2, 3, -1).clone()
    logits[1, :, 100] = 0.1  # a far peak that is higher
    answer = PitchLogits(logits, torch.zeros(2, 3))
    monkeypatch.setattr(estimator, "forward", lambda mel: answer)
    found = estimator.pitch(torch.zeros(2, 3, 64))
    expected = [LOWEST_PITCH * 2 ** (step / STEPS_PER_OCTAVE) for step in (40.5, 100.0)]
    assert found.frequency[:, 0].tolist() == pytest.approx(expected, rel=0.005)
    assert found.voicing.tolist() == [[0.5] * 3] * 2
