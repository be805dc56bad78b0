"""Where a T-UNet starts that has never seen its codes: what they mean by themselves, in one step.

mel -> linear analysis of the VAE -> latent -> what the network has to give in one evaluation
condition, features of its transformer -> regression of each band -> that   (`output_from_context`)

The rest of the network starts silent and learns what the regression leaves over.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.vae import PatchAnalysis
from semanticodec.training.regression import fit_bands, heard


@torch.no_grad()
def start_output(
    decoder: Decoder,
    windows: Iterable[tuple[Float[Tensor, "1 _L E"], Float[Tensor, "1 _T M"]]],
) -> None:
    """Let the T-UNet read its velocity from the condition, and nothing else at first.

    Args:
        decoder: its T-UNet has a context transformer and its VAE the linear shortcut.
        windows: condition from the window's start on, in whole columns, and the recording's mel,
            which may be longer.
    """
    unet = decoder.unet
    assert unet.context_transformer is not None and unet.output_from_context is not None
    projection = unet.output_from_context
    analysis = PatchAnalysis(decoder.vae.config).to(decoder.latent_scale.device)
    inputs, targets, weights = [], [], []
    for context, mel in windows:
        inputs.append(torch.cat([context, unet.context_transformer(context)], dim=2)[0])
        latent = analysis(mel.unsqueeze(1)) * decoder.latent_scale
        targets.append(projection.rows(_wanted(decoder, latent))[0, : context.shape[1]])
        weights.append(heard(mel, projection.num_bands)[: context.shape[1]])
    rows = torch.cat(inputs)
    # Whole columns, of one window after the other.
    bands = torch.arange(len(rows), device=rows.device) % projection.num_bands
    fit_bands(projection.projection, rows, torch.cat(targets), bands, torch.cat(weights))
    nn.init.zeros_(unet.output_conv.weight)
    assert unet.output_conv.bias is not None
    nn.init.zeros_(unet.output_conv.bias)


def _wanted(decoder: Decoder, latent: Float[Tensor, "1 C T F"]) -> Float[Tensor, "1 C T F"]:
    """Return what the network gives at pure noise where one step ends at this latent."""
    if decoder.preconditioning is None:
        return -latent
    return (decoder.preconditioning.mean - latent) / decoder.preconditioning.deviation
