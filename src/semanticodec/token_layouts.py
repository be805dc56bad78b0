"""Layouts of the two streams of codes, s (semantic) and a (acoustic), of B items and L positions.

stacked      [B, 2, L]   s0 s1 s2 ... / a0 a1 a2 ...
paired       [B, L, 2]   (s0 a0) (s1 a1) (s2 a2) ...
interleaved  [B, 2L]     s0 a0 s1 a1 s2 a2 ...     a moved up by the semantic vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.errors import CodesError, told

LAYOUTS = ("stacked", "paired", "interleaved")
# What becomes of a last column that is not whole, as where a language model stopped early.
PARTIAL = ("refuse", "cut", "fill")

# What users hold ids in; anything else is refused with a sentence.
Ids = Tensor | np.ndarray | Sequence


def as_ids(what: str, ids: Ids) -> Int[Tensor, " ..."]:
    """Return ids as an int64 tensor.

    Args:
        what: name of the ids in messages.
        ids: tensor, array or nested list of integers.
    Raises:
        CodesError: not integers, or no tensor at all.
    """
    if isinstance(ids, Tensor):
        is_other = ids.is_floating_point() or ids.is_complex() or ids.is_quantized
        if is_other or ids.dtype == torch.bool:
            raise CodesError(f"{what} of type {ids.dtype}; give integers")
        return (ids.to_dense() if ids.layout != torch.strided else ids).long()
    try:
        array = np.asarray(ids)
    except ValueError as error:
        raise CodesError(f"{what} in rows of different lengths; pad them") from error
    if array.size and array.dtype.kind not in "iu":  # an empty list has no type
        raise CodesError(
            f"{what} of type {type(ids).__name__} ({array.dtype}); give a tensor of integers"
        )
    return torch.from_numpy(array.astype(np.int64))


def check_layout(layout: str) -> None:
    """Refuse what is none of `LAYOUTS`.

    Raises:
        CodesError: no such layout.
    """
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise CodesError(f"layout is {told(layout)}; choose one of {', '.join(LAYOUTS)}")


def from_stacked(streams: Int[Tensor, "B 2 L"], layout: str, shift: int) -> Int[Tensor, "B ..."]:
    """Return the two streams in another layout.

    Args:
        streams: both streams, semantic first.
        layout: one of `LAYOUTS`.
        shift: number that is added to the acoustic ids of the interleaved layout.
    """
    if layout == "stacked":
        return streams
    paired = streams.transpose(1, 2)  # B 2 L -> B L 2
    if layout == "paired":
        return paired
    return (paired + torch.tensor([0, shift], device=paired.device)).flatten(1)  # B L 2 -> B 2L


def to_stacked(
    ids: Ids, layout: str, *, shift: int = 0, is_odd_cut: bool = False
) -> Int[Tensor, "B 2 L"]:
    """Return ids of a layout as both streams, semantic first.

    Args:
        ids: tensor, array or nested list of integers.
        layout: one of `LAYOUTS`.
        shift: number that was added to the acoustic ids of the interleaved layout.
        is_odd_cut: leave out an interleaved semantic id without its acoustic one.
    Raises:
        CodesError: no such layout, or ids of another shape.
    """
    check_layout(layout)
    tensor = as_ids(f"{layout} ids", ids)
    shape = list(tensor.shape)
    if layout == "stacked":
        if tensor.ndim != 3 or shape[1] != 2:
            raise CodesError(f"stacked codes of shape {shape}; give [B, 2, L]")
        return tensor
    if layout == "paired":
        if tensor.ndim != 3 or shape[2] != 2:
            raise CodesError(f"paired codes of shape {shape}; give [B, L, 2]")
        return tensor.transpose(1, 2)  # B L 2 -> B 2 L
    if tensor.ndim == 2 and is_odd_cut:
        tensor = tensor[:, : shape[1] // 2 * 2]
    if tensor.ndim != 2 or tensor.shape[1] % 2:
        raise CodesError(
            f"interleaved ids of shape {shape}; give [B, 2L]: a semantic and an acoustic id for "
            "every position"
        )
    streams = tensor.unflatten(1, (-1, 2)).transpose(1, 2)  # B 2L -> B 2 L
    return streams - torch.tensor([[0], [shift]], device=tensor.device)


def whole_columns(
    streams: Int[Tensor, "B 2 L"], positions_per_column: int, partial: str
) -> Int[Tensor, "B 2 N"]:
    """Return streams whose last column is whole.

    Args:
        streams: both streams.
        positions_per_column: positions of one time step.
        partial: "cut" leaves out a column that is not whole; "fill" repeats in its missing bands
            what the column before had there, or 0 where it is the first; "refuse" changes nothing.
    Raises:
        CodesError: no such choice, or nothing left.
    """
    if not isinstance(partial, str) or partial not in PARTIAL:
        raise CodesError(f"partial is {told(partial)}; choose one of {', '.join(PARTIAL)}")
    length = streams.shape[2]
    rest = length % positions_per_column
    if partial == "refuse" or not rest:
        return streams
    if partial == "cut":
        if rest == length:
            raise CodesError(
                f"{length} positions are less than one column of {positions_per_column}: give "
                "more, or partial='fill'"
            )
        return streams[:, :, : length - rest]
    missing = positions_per_column - rest
    before = length - positions_per_column
    if before < 0:
        return F.pad(streams, (0, missing))
    return torch.cat([streams, streams[:, :, before : before + missing]], dim=2)
