"""How far energies of neighborhoods are apart: what is known of a line whose place is not."""

import pytest
import torch

from semanticodec.training.level_distance import level_distance

FRAMES, BINS = 96, 16


@pytest.fixture
def target():
    torch.manual_seed(0)
    return torch.randn(2, FRAMES, BINS) - 4.0


def test_it_is_the_gain_of_a_mel_that_is_nothing_but_louder(target):
    assert level_distance(target, target) == 0
    for gain in (-0.5, 1.0):
        assert level_distance(target + gain, target) == pytest.approx(abs(gain), rel=1e-4)


def test_a_line_may_stand_anywhere_in_its_neighborhood_but_not_fade():
    target = torch.full((1, FRAMES, BINS), -9.0)
    target[:, :, 5] = -1.0
    moved = target.roll(1, dims=2)  # within the neighborhoods of bins 0 to 7 and 4 to 11
    spread = torch.full_like(target, -9.0)
    spread[:, :, 4:8] = -1.0 - 0.5 * torch.tensor(4.0).log()  # the same energy in four bins
    soft = target - 1.0
    assert level_distance(moved, target) < 0.01
    assert level_distance(spread, target) < 0.01
    assert level_distance(soft, target) > 0.9


def test_silence_and_its_neighbors_have_gradients():
    silence = torch.full((1, FRAMES, BINS), -11.5)
    loud = silence.clone()
    loud[:, :40] = 80.0
    for mel in (silence, loud):
        mel = (mel + 0.01 * torch.randn_like(mel)).requires_grad_()
        distance = level_distance(mel, silence)
        distance.backward()
        assert distance.isfinite() and mel.grad is not None and mel.grad.isfinite().all()
