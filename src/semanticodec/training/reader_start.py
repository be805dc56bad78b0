"""Where the reader of a mel starts: what codes mean by themselves, and to a transformer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.encoder.untold_energies import FRAMES_PER_PATCH
from semanticodec.layers.patches import cut_patches
from semanticodec.training.mel_reader import MelReader
from semanticodec.training.regression import heard


@torch.no_grad()
def start_reader(
    reader: MelReader,
    windows: Iterable[tuple[Float[Tensor, "1 _L E"], Float[Tensor, "1 _T M"]]],
    transformer: ContextTransformer | None,
) -> None:
    """Let the reader read what a regression can.

    Args:
        reader: maps to start.
        windows: condition from the window's start on, in whole columns, and the recording's mel,
            which may be longer.
        transformer: one that has learned; None leaves its features out at first.
    """
    contexts, features, patches, weights = [], [], [], []
    for context, mel in windows:
        contexts.append(context[0])
        if transformer is not None:
            features.append(transformer(context)[0])
        cells = cut_patches(mel, FRAMES_PER_PATCH, mel.shape[2] // reader.num_bands)
        patches.append(cells[0, : context.shape[1]])
        weights.append(heard(mel, reader.num_bands)[: context.shape[1]])
    reader.start(
        torch.cat(contexts),
        torch.cat(features) if features else None,
        torch.cat(patches),
        torch.cat(weights),
    )
