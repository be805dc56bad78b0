"""How much cells of a spectrogram count."""

import torch

from semanticodec.audio.audibility import LEAST_WEIGHT, level_weights


def test_weights_fall_with_the_level_below_the_loudest_cell_around():
    energies = torch.full((1, 300, 4), -6.0)
    energies[0, 100, 2] = 0.0
    weights = level_weights(energies, reach=12.0)
    assert weights[0, 100, 2] == 1
    # Half of the reach below; out of the loud cell's surroundings all is as loud.
    assert torch.allclose(weights[0, 60, 0], torch.tensor(0.5))
    assert torch.allclose(weights[0, 59], torch.ones(4))
    assert torch.allclose(level_weights(energies, reach=3.0)[0, 100, 0], torch.tensor(LEAST_WEIGHT))
