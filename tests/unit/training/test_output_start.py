"""A T-UNet that starts at what its condition tells of the latent."""

import pytest
import torch

from semanticodec.decoder.condition import BandedProjection
from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.preconditioning import Preconditioning
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import PatchAnalysis, VAEConfig
from semanticodec.decoder.vocos import Vocos
from semanticodec.training.output_start import start_output

WIDTH, BANDS, COLUMNS = 12, 4, 8
UNET = TUNet.Config(
    base_channels=8,
    channel_multipliers=(1, 2),
    num_res_blocks=1,
    attention_levels=(1,),
    head_width=8,
    context_width=WIDTH,
    num_groups=4,
    latent_frames=4 * COLUMNS,
    latent_bins=2 * BANDS,
    aligned_condition=True,
    aligned_grid=(COLUMNS, BANDS),
    aligned_cells=True,
    context_transformer=ContextTransformer.Config(
        width=8, num_layers=1, head_width=8, num_bands=BANDS
    ),
)
ONE_STEP = SamplingConfig(num_steps=1, guidance_scale=1.0, eta=0.0, timestep_shift=1.0)


def test_rows_of_a_banded_map_are_what_its_positions_predict():
    projection = BandedProjection(WIDTH, 3, BANDS, (4, 2))
    with torch.no_grad():
        projection.projection.weight.normal_()
    context = torch.randn(2, COLUMNS * BANDS, WIDTH)
    plane = projection(context)
    assert plane.shape == (2, 3, 4 * COLUMNS, 2 * BANDS)
    torch.testing.assert_close(projection.rows(plane), projection.projection(context))


@pytest.mark.parametrize("is_preconditioned", [True, False])
@torch.no_grad()
def test_one_step_gives_the_latent_that_the_condition_tells(is_preconditioned):
    torch.manual_seed(0)
    vae = VAEConfig(base_channels=8, num_res_blocks=1, num_groups=4, patch_shortcut=True)
    sizes = Preconditioning.Config(latent_bins=2 * BANDS) if is_preconditioned else None
    decoder = Decoder(
        Decoder.Config(
            unet=UNET,
            schedule=Schedule.Config(kind="cosine"),
            preconditioning=sizes,
            vae=vae,
            vocoder=Vocos.Config(width=8, num_layers=1),
        )
    ).eval()
    decoder.latent_scale.fill_(0.7)
    if decoder.preconditioning is not None:
        decoder.preconditioning.mean.normal_()
        decoder.preconditioning.deviation.uniform_(0.5, 2.0)
    for parameter in decoder.unet.output_conv.parameters():
        parameter.normal_()  # says something else, at first
    # Every band's patches are a linear function of the condition.
    contexts = [torch.randn(1, COLUMNS * BANDS, WIDTH) for _ in range(40)]
    truth = BandedProjection(WIDTH, 1, BANDS, (16, 8))
    truth.projection.weight.normal_()
    mels = [truth(context)[:, 0] for context in contexts]
    start_output(decoder, zip(contexts, mels, strict=True))
    noise = torch.randn(1, 8, 4 * COLUMNS, 2 * BANDS)
    found = decoder.sample(contexts[0], lambda draw: noise, ONE_STEP)
    wanted = PatchAnalysis(vae)(mels[0].unsqueeze(1)) * 0.7
    assert (found - wanted).abs().max() < 0.05 * wanted.std()
