"""Random pieces of cached windows: what the decoder stage computes of each of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.encoder.untold_energies import FRAMES_PER_PATCH
from semanticodec.token_format import NUM_BANDS, PATCH_SAMPLES
from semanticodec.training.data import Batch, rand_per_item

# Pieces start and end where stacked patches of every rate do.
COLUMNS_TOGETHER = 2
COLUMNS_PER_WINDOW = 64
# Caches keep samples in 16 bits.
INT16_SCALE = 32767.0


class Piece(NamedTuple):
    """Pieces of windows, one per item of a batch.

    Attributes:
        inputs: AudioMAE's side of them, for K = 1; see `WindowFeatures`.
        wav: the recordings.
        first_columns: time steps (0.16 s) of the window before each piece.
    """

    inputs: dict[str, Tensor]
    wav: Float[Tensor, "B S"]
    first_columns: Int[Tensor, " B"]


def random_piece(batch: Batch, num_columns: int) -> Piece:
    """Cut a random piece from every window, from where there is audio.

    Args:
        batch: windows with what the cache has of them.
        num_columns: length of the pieces in steps of 0.16 s.
    """
    inputs = dict(batch.extra)
    columns = -(-inputs["num_positions"] // NUM_BANDS)
    choices = (columns - num_columns).clamp_min(0) // COLUMNS_TOGETHER + 1
    drawn = rand_per_item(batch.generators, (), choices.device)
    first = COLUMNS_TOGETHER * (drawn * choices).long()
    wav = inputs.pop("samples")
    before = first * NUM_BANDS
    rows = num_columns * NUM_BANDS
    mel_rows = num_columns * FRAMES_PER_PATCH
    return Piece(
        inputs={
            "features": cut_rows(inputs["features"], before, rows),
            "mel": cut_rows(inputs["mel"], first * FRAMES_PER_PATCH, mel_rows),
            "num_valid": (inputs["num_valid"] - before).clamp(0, rows),
            "num_positions": (inputs["num_positions"] - before).clamp(0, rows),
        },
        wav=cut_rows(wav, first * PATCH_SAMPLES, num_columns * PATCH_SAMPLES).float() / INT16_SCALE,
        first_columns=first,
    )


def cut_rows(
    rows: Float[Tensor, "B L ..."] | Int[Tensor, "B L ..."], first: Int[Tensor, " B"], length: int
) -> Tensor:
    """Return `length` rows of each item, from a row of its own on."""
    starts = first.tolist()
    pieces = [item[at : at + length] for item, at in zip(rows, starts, strict=True)]
    # Autocast's form of stacking takes no integers.
    with torch.autocast(rows.device.type, enabled=False):
        return torch.stack(pieces)
