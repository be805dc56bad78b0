"""Nearest codebook row in bounded memory: the search that both quantizers share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import CodesError

# One block of distances: 512 positions x 8192 rows, 16 MiB of float32.
POSITION_BLOCK = 512
ROW_BLOCK = 8192

# product(vectors N D, rows K D) -> N K
Product = Callable[[Tensor, Tensor], Tensor]


def squared_distances(
    vectors: Float[Tensor, "N D"], rows: Float[Tensor, "K D"], product: Product = F.linear
) -> Float[Tensor, "N K"]:
    """Return |x|^2 + |c|^2 - 2 x.c for every pair, added in this order as the release does."""
    vector_norms = vectors.square().sum(dim=1, keepdim=True)
    row_norms = rows.square().sum(dim=1)
    return vector_norms + row_norms - 2 * product(vectors, rows)


def _nearest_of_block(
    vectors: Float[Tensor, "N D"], codebook: Float[Tensor, "K D"], row_block: int, product: Product
) -> Int[Tensor, " N"]:
    best = torch.full((len(vectors),), torch.inf, device=vectors.device)
    codes = torch.zeros(len(vectors), dtype=torch.int64, device=vectors.device)
    for first in range(0, len(codebook), row_block):
        distances = squared_distances(vectors, codebook[first : first + row_block], product)
        distance, row = distances.min(dim=1)
        # Strictly nearer only: of equal distances the lowest index stays.
        is_nearer = distance < best
        best = torch.where(is_nearer, distance, best)
        codes = torch.where(is_nearer, row + first, codes)
    return codes


@torch.no_grad()
def nearest_codes(
    vectors: Float[Tensor, "B L D"],
    codebook: Float[Tensor, "K D"],
    position_block: int = POSITION_BLOCK,
    row_block: int = ROW_BLOCK,
    product: Product = F.linear,
) -> Int[Tensor, "B L"]:
    """Return the index of the nearest codebook row (Euclidean), the lowest of equals.

    Items are searched one by one: a matrix product rounds differently at another size, and a
    code near a tie must not depend on what else is in the batch. Always float32, also under
    autocast.

    Args:
        vectors: vectors to quantize.
        codebook: one row per code.
        position_block: positions searched at once.
        row_block: codebook rows searched at once.
        product: function that multiplies vectors with rows.
    Source: paper Eq. 1 and 3.
    """
    codes = torch.zeros(vectors.shape[:2], dtype=torch.int64, device=vectors.device)
    rows = codebook.float()
    with torch.autocast(vectors.device.type, enabled=False):
        for item, item_vectors in enumerate(vectors.float()):
            for first in range(0, len(item_vectors), position_block):
                block = slice(first, first + position_block)
                found = _nearest_of_block(item_vectors[block], rows, row_block, product)
                codes[item, block] = found
    return codes


class NearestSearch(nn.Module):
    """`nearest_codes` as a module without weights, so that a runtime may put in another search."""

    def forward(
        self, vectors: Float[Tensor, "B L D"], codebook: Float[Tensor, "K D"]
    ) -> Int[Tensor, "B L"]:
        """Return the index of the nearest codebook row, the lowest of equals.

        Args:
            vectors: vectors to quantize.
            codebook: one row per code.
        """
        return nearest_codes(vectors, codebook)


def check_codes(codes: Tensor, codebook_size: int, stream: str) -> None:
    """Refuse out-of-range codes.

    Args:
        codes: codes to decode, of any shape.
        codebook_size: K.
        stream: "semantic" or "acoustic", for the message.
    Raises:
        CodesError: not integers, or outside [0, K).
    """
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise CodesError(f"{stream} codes have the type {codes.dtype}; give integers")
    if not codes.numel():
        return
    lowest, highest = int(codes.min()), int(codes.max())
    if lowest < 0 or highest >= codebook_size:
        raise CodesError(
            f"{stream} codes run from {lowest} to {highest}, but this codebook holds "
            f"{codebook_size} entries (0 to {codebook_size - 1}); decode with the model and the "
            "vocabulary size that wrote them"
        )
