"""How far mels are from their targets, where it is heard."""

import torch

from semanticodec.audio.mel_distance import mel_distance


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
