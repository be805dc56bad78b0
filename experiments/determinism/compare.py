"""How far two settings are apart: codes that differ, and how near to a tie those positions are.

A position's gap is the squared distance to the runner-up minus that to the nearest row. Settings
move gaps a little: what is searched for is rounded otherwise, and so is the search itself, which
is in float32. Only where the gap is smaller than both together can a code differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from experiments.determinism.measure import Measured
from semanticodec import SemantiCodec
from semanticodec.encoder.nearest import POSITION_BLOCK, squared_distances
from semanticodec.encoder.vector_quantizer import VectorQuantizer


class Nearest(NamedTuple):
    """The two nearest rows of every position.

    Attributes:
        rows: the rows themselves, nearest first.
        gaps: squared distance to the second minus that to the first, at least 0.
        rounding: how far a gap is off at most that is computed in float32, as the search does.
    """

    rows: Float[Tensor, "N 2 D"]
    gaps: Float[Tensor, " N"]
    rounding: float


class Stream(NamedTuple):
    """One stream of codes under two settings.

    Attributes:
        num_positions: how many were compared.
        num_different: positions whose codes differ.
        num_behind: of these, those in a window where a semantic code differs: what the acoustic
            encoder is given is another centroid there, so that this is no rounding.
        floor: what a code can be away from a tie and yet differ, in squared distance: the largest
            move of a gap in the other windows, and the rounding of both searches.
        widest: widest gap of the positions that differ in the other windows.
        num_near: positions whose gap is smaller than the floor.
    """

    num_positions: int
    num_different: int
    num_behind: int
    floor: float
    widest: float
    num_near: int


class Comparison(NamedTuple):
    """Two settings.

    Attributes:
        semantic: the semantic stream.
        acoustic: the acoustic stream.
        wav: largest difference of two samples, full scale 1.
    """

    semantic: Stream
    acoustic: Stream
    wav: float


def together(comparisons: Sequence[Comparison]) -> Comparison:
    """Return what several codecs show as one: counts are added, of the rest the largest counts."""
    return Comparison(
        semantic=_streams_together([each.semantic for each in comparisons]),
        acoustic=_streams_together([each.acoustic for each in comparisons]),
        wav=max(each.wav for each in comparisons),
    )


def _streams_together(streams: Sequence[Stream]) -> Stream:
    return Stream(
        num_positions=sum(stream.num_positions for stream in streams),
        num_different=sum(stream.num_different for stream in streams),
        num_behind=sum(stream.num_behind for stream in streams),
        floor=max(stream.floor for stream in streams),
        widest=max(stream.widest for stream in streams),
        num_near=sum(stream.num_near for stream in streams),
    )


def two_nearest(vectors: Float[Tensor, "N D"], codebook: Float[Tensor, "K D"]) -> Nearest:
    """Return the two nearest rows of every vector, in float64."""
    rows, gaps, roundings = [], [], []
    exact = codebook.double()
    for block in vectors.split(POSITION_BLOCK):
        distances, index = squared_distances(block.double(), exact).topk(2, largest=False)
        rows.append(exact[index])
        gaps.append(distances[:, 1] - distances[:, 0])
        searched = squared_distances(block.float(), codebook.float()).gather(1, index)
        roundings.append((searched[:, 1] - searched[:, 0] - gaps[-1]).abs().max())
    return Nearest(torch.cat(rows), torch.cat(gaps), float(torch.stack(roundings).max()))


def moved_gaps(nearest: Nearest, vectors: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """Return the gaps between the same rows as before for vectors that have moved."""
    distances = (vectors.double().unsqueeze(1) - nearest.rows).square().sum(dim=-1)
    return distances[:, 1] - distances[:, 0]


def compare_stream(
    nearest: Nearest,
    vectors: Float[Tensor, "N D"],
    differs: Bool[Tensor, " N"],
    is_behind: Bool[Tensor, " N"],
) -> Stream:
    """Return how far a stream is from that of the first setting.

    Args:
        nearest: the two nearest rows under the first setting.
        vectors: what the quantizer is given under the other setting.
        differs: where the codes differ.
        is_behind: positions of windows that do not count for the floor.
    """
    moves = (moved_gaps(nearest, vectors) - nearest.gaps).abs()[~is_behind]
    floor = 2 * nearest.rounding + (float(moves.max()) if len(moves) else 0.0)
    gaps = nearest.gaps[differs & ~is_behind]
    return Stream(
        num_positions=len(differs),
        num_different=int(differs.sum()),
        num_behind=int((differs & is_behind).sum()),
        floor=floor,
        widest=float(gaps.max()) if len(gaps) else 0.0,
        num_near=int((nearest.gaps < floor).sum()),
    )


def semantic_nearest(codec: SemantiCodec, features: Float[Tensor, "B L D"]) -> Nearest:
    """Return the two nearest centroids of every position of all items, one after the other."""
    codebook = codec.encoder.semantic.codebook(codec.semantic_vocab_size)
    return two_nearest(features.flatten(0, 1), codebook)


def acoustic_nearest(codec: SemantiCodec, latents: Float[Tensor, "B L D"]) -> Nearest:
    """Return the two nearest acoustic codes of every position, as vectors of the codes' space."""
    return two_nearest(code_vectors(codec, latents), _quantizer(codec).embed)


@torch.no_grad()
def code_vectors(codec: SemantiCodec, latents: Float[Tensor, "B L D"]) -> Float[Tensor, "N W"]:
    """Return what the acoustic codes are searched for."""
    return _quantizer(codec).project_in(latents).flatten(0, 1)


def _quantizer(codec: SemantiCodec) -> VectorQuantizer:
    quantizer = codec.encoder.quantizer
    assert isinstance(quantizer, VectorQuantizer)
    assert not quantizer.config.l2_normalize
    return quantizer


class Comparer:
    """Compares settings with the first one.

    Args:
        codec: what measured, for its codebooks.
        first: what the first setting measured.
    """

    def __init__(self, codec: SemantiCodec, first: Measured) -> None:
        self._codec, self._first = codec, first
        self._semantic = semantic_nearest(codec, torch.from_numpy(first.semantic_latents))
        self._acoustic = acoustic_nearest(codec, torch.from_numpy(first.acoustic_latents))

    def compare(self, other: Measured) -> Comparison:
        """Return how far a setting is from the first one."""
        first = self._first
        semantic = _differs(first.semantic_codes, other.semantic_codes)
        acoustic = _differs(first.acoustic_codes, other.acoustic_codes)
        is_behind = semantic.any(dim=1, keepdim=True).expand_as(semantic)
        features = torch.from_numpy(other.semantic_latents).flatten(0, 1)
        vectors = code_vectors(self._codec, torch.from_numpy(other.acoustic_latents))
        counts_all = torch.zeros_like(semantic)
        return Comparison(
            semantic=compare_stream(
                self._semantic, features, semantic.flatten(), counts_all.flatten()
            ),
            acoustic=compare_stream(
                self._acoustic, vectors, acoustic.flatten(), is_behind.flatten()
            ),
            wav=float(np.abs(first.wav - other.wav).max()),
        )


def _differs(first: Int[np.ndarray, "N L"], other: Int[np.ndarray, "N L"]) -> Bool[Tensor, "N L"]:
    return torch.from_numpy(first != other)
