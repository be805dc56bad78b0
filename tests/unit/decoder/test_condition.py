import dataclasses

import pytest
import torch
from torch.nn import functional as F

from semanticodec.decoder.condition import AlignedProjection, Condition
from semanticodec.errors import CodesError
from semanticodec.layers.embeddings import position_code
from semanticodec.layers.stacking import stack_patches
from semanticodec.layers.told_energies import ToldEnergies


@pytest.fixture
def condition():
    return Condition(Condition.Config(width=6, position_width=4, max_positions=16))


def test_context_is_acoustic_then_semantic_then_positions(condition):
    acoustic, semantic = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    context = condition(acoustic, semantic, num_positions=8)
    assert context.shape == (2, 8, condition.config.context_width) == (2, 8, 16)
    assert torch.equal(context[:, :5, :6], acoustic)
    assert torch.equal(context[:, :5, 6:12], semantic)
    assert (context[:, 5:, :12] == -1).all(), "padding is marked before positions are joined"
    assert torch.equal(context[:, :, 12:], position_code(8, 4).expand(2, -1, -1))


@pytest.mark.parametrize("stack_factor", [2, 4])
def test_stacked_positions_give_the_context_of_their_patches(stack_factor):
    whole = Condition(Condition.Config(width=6, position_width=4, max_positions=32))
    taken_apart = Condition(
        Condition.Config(width=6, position_width=4, max_positions=32, unstacks=stack_factor)
    )
    acoustic, semantic = torch.randn(2, 16, 6), torch.randn(2, 16, 6)
    stacked = (stack_patches(patches, stack_factor) for patches in (acoustic, semantic))
    context = taken_apart(*stacked, num_positions=32 // stack_factor)
    assert torch.equal(context, whole(acoustic, semantic, num_positions=32))


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@torch.no_grad()
def test_what_centroids_tell_comes_last_and_means_the_same_at_every_rate(stack_factor):
    torch.manual_seed(0)
    sizes = ToldEnergies.Config(
        width=6, num_streams=2, patch_bands=8, patch_cells=5, neighbor_width=3
    )
    told = Condition(Condition.Config(width=6, position_width=4, max_positions=32, told=sizes))
    for parameter in told.parameters():
        torch.nn.init.normal_(parameter)
    taken_apart = Condition(dataclasses.replace(told.config, unstacks=stack_factor))
    taken_apart.load_state_dict(told.state_dict())
    acoustic, semantic = torch.randn(2, 16, 6), torch.randn(2, 16, 6)
    stacked = (stack_patches(patches, stack_factor) for patches in (acoustic, semantic))
    context = taken_apart(*stacked, num_positions=32 // stack_factor)
    assert context.shape[2] == told.config.context_width == 2 * 6 + 4 + 5
    assert torch.equal(context, told(acoustic, semantic, num_positions=32))
    padded = (F.pad(stream, (0, 0, 0, 16), value=-1.0) for stream in (acoustic, semantic))
    assert torch.equal(context[:, :, -5:], told.told(*padded))
    assert not told.unconditional(1, 32)[:, :, -5:].any()


def test_unconditional_is_zero_features_with_the_same_positions(condition):
    context = condition(torch.randn(2, 8, 6), torch.randn(2, 8, 6), num_positions=8)
    unconditional = condition.unconditional(2, 8)
    assert (unconditional[:, :, :12] == 0).all()
    assert torch.equal(unconditional[:, :, 12:], context[:, :, 12:])


def test_official_widths():
    widths = [Condition.Config(width=768 * k).context_width for k in (1, 2, 4)]
    assert widths == [1728, 3264, 6336]


def test_positions_follow_the_features_type(condition):
    features = torch.randn(1, 3, 6, dtype=torch.bfloat16)
    assert condition(features, features, num_positions=4).dtype == torch.bfloat16


def test_too_many_positions_are_refused(condition):
    features = torch.randn(1, 9, 6)
    with pytest.raises(CodesError, match="9 positions do not fit a window of 8"):
        condition(features, features, num_positions=8)
    with pytest.raises(CodesError, match="17 positions is longer than the 16"):
        condition.unconditional(1, 17)


@pytest.mark.parametrize("cells", [(1, 1), (4, 2)])
def test_a_position_reaches_its_own_rectangle_only(cells):
    torch.manual_seed(0)
    projection = AlignedProjection(5, channels=3, num_bands=2, cells=cells)
    context = torch.randn(1, 6, 5)  # 3 times x 2 bands
    changed = context.clone()
    changed[:, 2 * 2 + 1] += 1  # time 2, band 1
    size = (12, 4)
    difference = (projection(changed, size) - projection(context, size)).abs().sum(1)[0]
    assert (difference[8:, 2:] > 0).all()
    difference[8:, 2:] = 0
    assert (difference == 0).all()


def test_cells_of_a_position_differ_only_when_asked_for():
    torch.manual_seed(0)
    context = torch.randn(1, 6, 5)
    repeated = AlignedProjection(5, 3, num_bands=2)(context, (12, 4))
    assert (repeated[:, :, :4, :2] == repeated[:, :, :1, :1]).all()
    own = AlignedProjection(5, 3, num_bands=2, cells=(4, 2))(context, (12, 4))
    assert own[0, 0, :4, :2].unique().numel() == 8


def test_a_coarser_map_averages_positions():
    projection = AlignedProjection(5, 3, num_bands=2)
    context = torch.randn(1, 8, 5)
    grid = projection.projection(context)[0].unflatten(0, (4, 2))
    expected = grid[:2].mean((0, 1))
    torch.testing.assert_close(projection(context, (2, 1))[0, :, 0, 0], expected)
