"""A transformer over the condition, and the T-UNet that is given one."""

from dataclasses import replace

import pytest
import torch

from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.decoder.unet import TUNet
from semanticodec.errors import ConfigError
from semanticodec.training.stages.finished_codec import with_context

SIZES = ContextTransformer.Config(width=16, num_layers=2, head_width=8, num_bands=4, reach=3)
WIDTH = 12


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    made = ContextTransformer(SIZES, WIDTH)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def test_positions_see_their_neighborhood_and_no_further(transformer):
    context = torch.randn(1, 20 * 4, WIDTH)
    changed = context.clone()
    changed[:, 10 * 4 + 1] += 1.0
    with torch.no_grad():
        difference = (transformer(changed) - transformer(context)).abs().amax(dim=(0, 2))
    touched = difference.unflatten(0, (20, 4)).amax(dim=1) > 1e-6
    reached = SIZES.num_layers * SIZES.reach
    assert touched.nonzero().flatten().tolist() == list(range(10 - reached, 10 + reached + 1))


def test_a_window_further_on_gives_the_same(transformer):
    context = torch.randn(1, 30 * 4, WIDTH)
    with torch.no_grad():
        whole, part = transformer(context), transformer(context[:, 4 * 4 :])
    # Columns whose neighborhood lies inside the part through all layers.
    inner = SIZES.num_layers * SIZES.reach * 4
    assert torch.allclose(whole[:, 4 * 4 + inner :], part[:, inner:], atol=1e-5)


def test_heads_have_to_divide_the_width():
    with pytest.raises(ConfigError, match="16 wide cannot have heads of 5"):
        ContextTransformer(replace(SIZES, head_width=5), WIDTH)


def test_a_unet_that_is_given_one_stays_what_it_was():
    torch.manual_seed(0)
    unet = TUNet(
        TUNet.Config(
            in_channels=4,
            base_channels=8,
            channel_multipliers=(1, 2),
            num_res_blocks=1,
            attention_levels=(1,),
            head_width=8,
            context_width=WIDTH,
            num_groups=4,
            latent_frames=16,
            latent_bins=8,
            aligned_condition=True,
            aligned_grid=(4, 4),
        )
    ).eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    wider = with_context(unet, WIDTH, SIZES).eval()
    latent, timestep = torch.randn(2, 4, 16, 8), torch.tensor([3, 700])
    context = torch.randn(2, 16, WIDTH)
    with torch.no_grad():
        before, after = unet(latent, timestep, context), wider(latent, timestep, context)
    assert torch.allclose(before, after, atol=1e-5)
    loss = wider(latent, timestep, context).square().sum()
    loss.backward()
    # The transformer learns as soon as the T-UNet's new columns are not zero.
    assert wider.aligned[0].projection.weight.grad[:, WIDTH:].abs().sum() > 0
    with pytest.raises(ConfigError, match="has a context transformer"):
        with_context(wider, WIDTH, SIZES)
