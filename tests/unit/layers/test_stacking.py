"""Stacking joins the right neighbors."""

import numpy as np
import pytest
import torch

from golden_weights import GOLDEN
from semanticodec.errors import ConfigError
from semanticodec.layers.stacking import stack_patches, unstack_patches


def numbered_patches(num_times: int, num_bands: int = 8) -> torch.Tensor:
    """One row (time, band) per patch, so that a stacked row spells out what it joined."""
    times, bands = torch.meshgrid(torch.arange(num_times), torch.arange(num_bands), indexing="ij")
    return torch.stack([times, bands], dim=-1).reshape(1, -1, 2).float()


def test_one_patch_per_position_changes_nothing():
    features = torch.randn(2, 64, 5)
    assert torch.equal(stack_patches(features, 1), features)


def test_two_joins_neighboring_bands_of_one_time_step():
    stacked = stack_patches(numbered_patches(4), 2)[0].tolist()
    assert len(stacked) == 16
    assert stacked[0] == [0, 0, 0, 1]
    assert stacked[1] == [0, 2, 0, 3]
    assert stacked[4] == [1, 0, 1, 1]


def test_four_joins_a_square_time_first():
    stacked = stack_patches(numbered_patches(4), 4)[0].tolist()
    assert len(stacked) == 8
    assert stacked[0] == [0, 0, 0, 1, 1, 0, 1, 1]
    assert stacked[1] == [0, 2, 0, 3, 1, 2, 1, 3]
    assert stacked[4] == [2, 0, 2, 1, 3, 0, 3, 1]


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_unstacking_is_the_inverse(stack_factor):
    patches = torch.randn(2, 6 * 8, 5)
    assert torch.equal(unstack_patches(stack_patches(patches, stack_factor), stack_factor), patches)


@pytest.mark.parametrize("shape", [(1, 6, 8), (1, 8, 6)])
def test_what_no_stacking_made_is_not_taken_apart(shape):
    with pytest.raises(ConfigError, match="not 4 bands of 4 stacked patches"):
        unstack_patches(torch.zeros(shape), 4)


@pytest.mark.parametrize("num_bands", [2, 4, 8])
def test_other_numbers_of_bands(num_bands):
    stacked = stack_patches(numbered_patches(2, num_bands), 4, num_bands)[0].tolist()
    assert len(stacked) == num_bands // 2
    assert stacked[-1][-2:] == [1, num_bands - 1]


@pytest.mark.parametrize(("token_rate", "stack_factor"), [(50, 2), (25, 4)])
def test_the_release_stacks_alike(token_rate, stack_factor):
    patches = np.load(GOLDEN / "audiomae_a0.npz")["out"][1:]
    golden = np.load(GOLDEN / f"encode_{token_rate}_4096.npz")
    stacked = stack_patches(torch.from_numpy(patches).unsqueeze(0), stack_factor)[0]
    rows = stacked[:: int(golden["row_step_features"])].numpy()
    np.testing.assert_allclose(rows, golden["a0_stacked_rows"], atol=1e-5)


@pytest.mark.parametrize(
    ("features", "stack_factor", "says"),
    [
        ((1, 64, 3), 3, "stack factor of 3"),
        ((1, 63, 3), 1, "multiple of 8"),
        ((1, 24, 3), 4, "multiple of 16"),
    ],
)
def test_impossible_stacks_are_refused(features, stack_factor, says):
    with pytest.raises(ConfigError, match=says):
        stack_patches(torch.zeros(features), stack_factor)


def test_an_odd_number_of_bands_cannot_be_paired():
    with pytest.raises(ConfigError, match="multiple of 32"):
        stack_patches(torch.zeros(1, 6, 3), 2, num_bands=3)
