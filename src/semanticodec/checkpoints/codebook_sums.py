"""Moving sums of an acoustic codebook: small files leave them out, as vectors and counts tell them.

A code vector is its sum over its count (paper's EMA codebook), so the sum is their product. Only
further training needs it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

PREFIX = "encoder.quantizer."
VECTORS, COUNTS, SUMS = f"{PREFIX}embed", f"{PREFIX}cluster_size", f"{PREFIX}embed_avg"
# As near as float16, in which they would be stored.
TOLERANCE = 1e-3


def without_sums(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without sums that `with_sums` tells; all of them where it does not."""
    told = with_sums({key: tensor for key, tensor in state.items() if key != SUMS})
    if SUMS in state and SUMS in told:
        sums = state[SUMS].float()
        spread = TOLERANCE * sums.abs().max().item()
        if torch.allclose(told[SUMS].float(), sums, rtol=TOLERANCE, atol=spread):
            del told[SUMS]
            return told
    return dict(state)


def with_sums(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the sums of a codebook that lack them, and everything else as it is."""
    vectors, counts = state.get(VECTORS), state.get(COUNTS)
    if vectors is None or counts is None or SUMS in state:
        return state
    if vectors.ndim != 2 or vectors.shape[:1] != counts.shape:
        return state  # of another model, which is told where the shapes are checked
    return {**state, SUMS: vectors * counts.unsqueeze(1)}


def with_sums_shape(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return shapes as `with_sums` would have them."""
    if SUMS in shapes or not {VECTORS, COUNTS} <= shapes.keys():
        return shapes
    return {**shapes, SUMS: shapes[VECTORS]}
