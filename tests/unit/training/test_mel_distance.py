"""How far mels are from their targets, where it is heard."""

import math

import torch

from semanticodec.training.mel_distance import LEAST_WEIGHT, level_weights, mel_distance

LN10 = math.log(10)


def test_weights_fall_with_the_level_below_the_loudest_cell_around():
    mel = torch.full((1, 300, 4), -3.0 * LN10)
    mel[0, 100, 2] = 0.0
    weights = level_weights(mel, range_db=120.0)
    assert weights[0, 100, 2] == 1
    # 60 dB below, half of the range; out of the loud cell's surroundings all is as loud.
    assert torch.allclose(weights[0, 60, 0], torch.tensor(0.5))
    assert torch.allclose(weights[0, 59], torch.ones(4))
    assert torch.allclose(level_weights(mel, range_db=30.0)[0, 100, 0], torch.tensor(LEAST_WEIGHT))


def test_one_level_everywhere_is_the_plain_mean():
    mel, target = torch.randn(2, 50, 8), torch.zeros(2, 50, 8)
    frame, detail = mel_distance(mel, target, range_db=60.0)
    assert torch.allclose(frame, mel.abs().mean())
    assert 0 < detail < frame


def test_an_error_in_the_background_counts_less_and_a_shift_has_no_detail():
    target = torch.zeros(1, 50, 8)
    target[:, :, 4:] = -6.0
    loud, quiet = target.clone(), target.clone()
    loud[:, :, :4] += 0.5
    quiet[:, :, 4:] += 0.5
    distances = [mel_distance(mel, target, range_db=60.0).frame for mel in (loud, quiet)]
    assert distances[0] > 5 * distances[1]
    assert mel_distance(target + 0.5, target, range_db=60.0).detail < 1e-6
