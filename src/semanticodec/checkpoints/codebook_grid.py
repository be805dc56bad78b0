"""Codebooks of 8 bits a value: rounded to a grid when made, so that storing them changes no code.

A column of the grid is [-127, 127] times a power of two. float32, float16 (down to its smallest
steps) and int8 with the power beside it therefore hold exactly the same centroids.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from semanticodec.errors import CheckpointError

LARGEST = 127
SCALE_SUFFIX = "_scale"


def _scales(codebook: Float[Tensor, "K D"]) -> Float[Tensor, " D"]:
    """Return the smallest power of two per column with which the column fits into 8 bits."""
    peaks = codebook.abs().amax(dim=0).double() / LARGEST
    exponents = torch.ceil(torch.log2(torch.where(peaks > 0, peaks, torch.ones_like(peaks))))
    return torch.exp2(exponents).float()


def round_to_grid(codebook: Float[Tensor, "K D"]) -> Float[Tensor, "K D"]:
    """Return the nearest codebook that `to_int8` can hold; columns keep 7 bits or more.

    Args:
        codebook: finite centroids.
    """
    scales = _scales(codebook)
    return (codebook.float() / scales).round() * scales


def to_int8(
    codebook: Float[Tensor, "K D"],
) -> tuple[Int8[Tensor, "K D"], Float[Tensor, " D"]] | None:
    """Return integers and scales that hold a codebook exactly, or None if it is on no such grid.

    Args:
        codebook: centroids; those of `round_to_grid` fit.
    """
    if not codebook.isfinite().all():
        return None
    scales = _scales(codebook)
    integers = codebook.float() / scales
    if not torch.equal(integers, integers.round()):
        return None
    return integers.to(torch.int8), scales


def from_int8(
    integers: Int8[Tensor, "K D"], scales: Float[Tensor, " D"] | None
) -> Float[Tensor, "K D"]:
    """Return the float32 codebook that `to_int8` was given.

    Args:
        integers: integers as stored.
        scales: scales as stored; None where the file lacks them.
    Raises:
        CheckpointError: the scales are missing, do not fit or are not finite.
    """
    if scales is None or scales.shape != integers.shape[1:] or not scales.isfinite().all():
        found = "none" if scales is None else f"shape {tuple(scales.shape)}"
        raise CheckpointError(
            f"a codebook of shape {tuple(integers.shape)} in 8 bits needs one finite scale per "
            f"column, but the file has {found}; download the model again"
        )
    return integers.float() * scales.float()
