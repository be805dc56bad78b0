import dataclasses

import pytest
import torch

from semanticodec.decoder.unet import TUNet
from semanticodec.errors import CodesError, ConfigError

TINY = TUNet.Config(
    base_channels=8,
    channel_multipliers=(1, 2, 2),
    num_res_blocks=1,
    attention_levels=(1, 2),
    head_width=4,
    context_width=12,
    num_groups=4,
    latent_frames=16,
    latent_bins=8,
    aligned_grid=(4, 4),
)


def tiny(**changes):
    """A tiny network with random weights everywhere, also where training starts at zero."""
    torch.manual_seed(0)
    unet = TUNet(dataclasses.replace(TINY, **changes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return unet.eval()


def inputs(batch_size=2, frames=16, positions=16):
    generator = torch.Generator().manual_seed(2)
    latent = torch.randn(batch_size, 8, frames, 8, generator=generator)
    context = torch.randn(batch_size, positions, 12, generator=generator)
    return latent, torch.tensor([3, 700])[:batch_size], context


@pytest.mark.parametrize(
    ("context_width", "expected"), [(1728, 75_040_584), (3264, 85_854_024), (6336, 107_480_904)]
)
def test_official_sizes(context_width, expected):
    with torch.device("meta"):
        unet = TUNet(TUNet.Config(context_width=context_width))
    assert sum(parameter.numel() for parameter in unet.parameters()) == expected


def test_a_fresh_network_predicts_zero():
    torch.manual_seed(0)
    assert (TUNet(TINY)(*inputs()) == 0).all()


@pytest.mark.parametrize("aligned", [False, True])
def test_prepared_context_gives_the_same_velocity(aligned):
    unet = tiny(aligned_condition=aligned)
    latent, timestep, context = inputs()
    prepared = unet.prepare_context(context)
    assert len(prepared.keys_values) == 2 * 1 + 1 + 2 * 2  # down, middle, up
    expected = unet(latent, timestep, context)
    assert torch.equal(unet(latent, timestep, prepared), expected)
    assert torch.equal(unet(latent, timestep, prepared), expected), "usable any number of times"


@torch.no_grad()
def test_contexts_prepared_apart_can_be_joined():
    unet = tiny(aligned_condition=True)
    latent, timestep, context = inputs()
    first, second = (unet.prepare_context(item) for item in context.split(1))
    velocity = unet(latent, timestep, first.joined(second))
    torch.testing.assert_close(velocity, unet(latent, timestep, context), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_context_prepared_once_serves_a_batch_without_a_copy():
    unet = tiny(aligned_condition=True)
    latent, timestep, context = inputs()
    alone = unet.prepare_context(context[:1])
    shared = alone.expanded(2)
    expected = unet(latent, timestep, context[:1].expand(2, -1, -1))
    torch.testing.assert_close(unet(latent, timestep, shared), expected, rtol=1e-5, atol=1e-5)
    assert shared.keys_values[0][0].data_ptr() == alone.keys_values[0][0].data_ptr()
    assert shared.aligned[0].data_ptr() == alone.aligned[0].data_ptr()


@pytest.mark.parametrize("options", [{}, {"aligned_condition": True, "frequency_positions": True}])
def test_inference_computes_what_training_does(options):
    unet = tiny(base_channels=48, **options)  # wide enough for the faster code paths
    latent, timestep, context = inputs(frames=16)
    expected = unet(latent, timestep, context)
    with torch.inference_mode():
        velocity = unet(latent, timestep, context)
    scale = expected.std().item()
    torch.testing.assert_close(velocity, expected, rtol=0, atol=1e-5 * scale)


@torch.inference_mode()
def test_inference_in_bfloat16_is_as_near_as_its_rounding():
    unet = tiny(base_channels=48)
    latent, timestep, context = inputs(frames=64)  # 256 cells of level 1: attended by sigmoids
    exact = unet(latent, timestep, context)
    velocity = unet.bfloat16()(latent, timestep, context)
    assert (velocity.float() - exact).std() < 0.1 * exact.std()


def test_items_of_a_batch_do_not_touch_each_other():
    unet = tiny(aligned_condition=True, frequency_positions=True)
    latent, timestep, context = inputs()
    both = unet(latent, timestep, context)
    for item in range(2):
        rows = slice(item, item + 1)
        alone = unet(latent[rows], timestep[rows], context[rows])
        torch.testing.assert_close(both[rows], alone, rtol=1e-4, atol=1e-4)


def test_velocity_depends_on_every_input():
    unet = tiny()
    latent, timestep, context = inputs()
    velocity = unet(latent, timestep, context)
    for changed in (
        unet(latent + 0.1, timestep, context),
        unet(latent, timestep + 50, context),
        unet(latent, timestep, context + 0.5),
    ):
        assert (changed - velocity).abs().max() > 1e-3


def test_gradients_reach_every_parameter():
    unet = tiny(aligned_condition=True, aligned_cells=True, frequency_positions=True)
    unet(*inputs()).square().mean().backward()
    unreached = [
        name
        for name, parameter in unet.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert unreached == []


def test_cross_attention_reads_the_context_as_a_set_but_alignment_does_not():
    latent, timestep, context = inputs()
    reversed_context = context.flip(1)
    unet = tiny()
    torch.testing.assert_close(
        unet(latent, timestep, reversed_context),
        unet(latent, timestep, context),
        rtol=1e-4,
        atol=1e-4,
    )
    unet = tiny(aligned_condition=True)
    moved = unet(latent, timestep, reversed_context) - unet(latent, timestep, context)
    assert moved.abs().max() > 1e-2


@pytest.mark.parametrize("cells", [False, True])
def test_aligned_condition_lies_where_its_positions_are(cells):
    unet = tiny(aligned_condition=True, aligned_cells=cells)
    _, _, context = inputs(batch_size=1)
    changed = context.clone()
    changed[:, 4 * 3 + 2] += 1  # time 3 of 4, band 2 of 4
    before, after = unet.prepare_context(context), unet.prepare_context(changed)
    changed_cells = [
        (new - old).abs().sum((0, 1)).nonzero().tolist()
        for old, new in zip(before.aligned, after.aligned, strict=True)
    ]
    level_0 = [[frame, bin] for frame in range(12, 16) for bin in (4, 5)]
    level_1 = [[frame, 2] for frame in (6, 7)]
    assert changed_cells == [level_0, level_1, [[3, 1]]]


@pytest.mark.parametrize("aligned_grid", [(4, 4), (4, 2), (2, 2)])
def test_shorter_windows_take_a_shorter_context(aligned_grid):
    unet = tiny(aligned_condition=True, aligned_grid=aligned_grid, aligned_cells=True)
    rows = aligned_grid[0] * aligned_grid[1]
    assert unet(*inputs(positions=rows)).shape == (2, 8, 16, 8)
    assert unet(*inputs(frames=8, positions=rows // 2)).shape == (2, 8, 8, 8)


def test_frequency_positions_break_the_symmetry_of_equal_bins():
    latent = torch.zeros(1, 8, 16, 8)
    _, timestep, context = inputs(batch_size=1)
    plain = tiny().input_conv(latent)
    assert (plain == plain[..., :1]).all()
    unet = tiny(frequency_positions=True)
    assert unet.frequency_positions is not None
    assert unet.frequency_positions.shape == (1, 8, 1, 8)
    velocity = unet(latent, timestep, context)
    unet.frequency_positions.data.zero_()
    assert (unet(latent, timestep, context) - velocity).abs().max() > 1e-3


def test_options_are_absent_from_official_weights():
    plain, extended = TUNet(TINY), tiny(aligned_condition=True, frequency_positions=True)
    extra = set(extended.state_dict()) - set(plain.state_dict())
    levels = range(3)
    assert extra == {"frequency_positions"} | {
        f"aligned.{level}.projection.{name}" for level in levels for name in ("weight", "bias")
    }


def test_bfloat16_weights_take_float32_inputs():
    latent, timestep, context = inputs()
    unet = tiny(aligned_condition=True)
    full = unet(latent, timestep, context)
    half = unet.to(torch.bfloat16)(latent, timestep, context)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).std() < 0.1 * full.std()


def test_golden_micro_model():
    # Recorded when the same class reproduced the official network at full size to 3e-6.
    velocity = tiny()(*inputs())
    recorded = torch.tensor(
        [[-0.56355, -0.48999, -0.19047, 0.29699], [-0.61361, -1.12328, -0.96619, -0.98414]]
    )
    torch.testing.assert_close(velocity[:, 3, 5, :4], recorded, rtol=0, atol=1e-4)


def test_latents_and_contexts_that_do_not_fit_are_refused():
    latent, timestep, context = inputs()
    with pytest.raises(ConfigError, match=r"14 frames × 8 bins .* multiples of 4"):
        tiny()(latent[:, :, :14], timestep, context)
    with pytest.raises(ConfigError, match="4 bins does not fit the 8"):
        tiny(frequency_positions=True)(latent[..., :4], timestep, context)
    with pytest.raises(CodesError, match="context is 11 wide, this T-UNet needs 12"):
        tiny()(latent, timestep, context[..., :11])
    aligned = tiny(aligned_condition=True)
    with pytest.raises(CodesError, match="15 positions do not fill rows of 4 bands"):
        aligned(latent, timestep, context[:, :15])
    with pytest.raises(
        CodesError, match=r"covers \(8, 8\) frames × bins, the latent has \(16, 8\)"
    ):
        aligned(latent, timestep, context[:, :8])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_groups": 3}, "8 channels cannot be split into 3 groups"),
        ({"head_width": 5}, "16 channels cannot have heads of 5"),
        ({"aligned_condition": True, "aligned_grid": (3, 4)}, "3 × 4 positions does not divide"),
    ],
)
def test_impossible_configurations_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TUNet(dataclasses.replace(TINY, **changes))
