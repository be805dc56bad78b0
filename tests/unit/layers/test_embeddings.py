from pathlib import Path

import numpy as np
import pytest
import torch

from semanticodec.errors import ConfigError
from semanticodec.layers.embeddings import grid_positions, position_code, timestep_embedding

GOLDEN = Path(__file__).parents[2] / "assets" / "golden"


def test_position_code_equals_the_official_one():
    golden = np.load(GOLDEN / "unet_100_4096.npz")["pos_embed_512x192"]
    np.testing.assert_allclose(position_code(512, 192).numpy(), golden, rtol=0, atol=1e-6)


def test_position_code_interleaves_sine_and_cosine_of_the_position():
    code = position_code(9, 6)
    positions = torch.arange(9.0)
    torch.testing.assert_close(code[:, 0], positions.sin())
    torch.testing.assert_close(code[:, 1], positions.cos())
    torch.testing.assert_close(code[:, 2], (positions * 10000 ** (-1 / 3)).sin())


def test_similarity_of_position_codes_depends_on_distance_only():
    code = position_code(64, 32).double()
    similarity = code @ code.T
    for distance in (0, 1, 7, 40):
        diagonal = similarity.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-4)


def test_timestep_embedding_puts_cosines_first():
    embedding = timestep_embedding(torch.tensor([0, 3]), 8)
    assert embedding[0].tolist() == [1.0] * 4 + [0.0] * 4
    assert embedding[1, 0].item() == pytest.approx(np.cos(3.0), abs=1e-6)
    assert embedding[1, 4].item() == pytest.approx(np.sin(3.0), abs=1e-6)


def test_grid_positions_are_time_major_and_separate_the_axes():
    code = grid_positions(5, 3, 16)[0].unflatten(0, (5, 3))
    assert code.flatten(0, 1).unique(dim=0).shape == (15, 16)
    assert (code[:, :, :8] == code[:1, :, :8]).all(), "first half: the band alone"
    assert (code[:, :, 8:] == code[:, :1, 8:]).all(), "second half: the time alone"
    torch.testing.assert_close(code[0, :, 0], torch.arange(3.0).sin())
    torch.testing.assert_close(code[:, 0, 12], torch.arange(5.0).cos())


def test_grid_positions_differ_everywhere():
    assert torch.unique(grid_positions(64, 8, 32)[0], dim=0).shape[0] == 512


@pytest.mark.parametrize(
    ("make", "multiple"),
    [
        (lambda: position_code(4, 5), 2),
        (lambda: timestep_embedding(torch.tensor([1]), 0), 2),
        (lambda: grid_positions(2, 2, 6), 4),
    ],
)
def test_impossible_widths_are_refused(make, multiple):
    with pytest.raises(ConfigError, match=f"positive multiple of {multiple}"):
        make()
