"""What a language model has to beat: counts of single ids and of pairs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from examples.language_model.sequences import Rows


class Unigram:
    """How often an id occurs in its stream; every one is seen once more than it is.

    Args:
        rows: ids to count.
        vocab_sizes: sizes of the two streams.
    """

    def __init__(self, rows: Rows, vocab_sizes: tuple[int, int]) -> None:
        first, second = vocab_sizes
        counts = torch.bincount(rows.ids[rows.streams >= 0], minlength=first + second) + 1.0
        self.probability = torch.cat(
            [stream / stream.sum() for stream in counts.split([first, second])]
        )

    def log_probability(self, rows: Rows) -> Float[Tensor, "B N"]:
        """Return that of every code; 0 at special tokens."""
        is_code = rows.streams >= 0
        return torch.where(is_code, self.probability[rows.ids.where(is_code, 0)].log(), 0.0)


class Bigram:
    """How often an id follows another, interpolated with the unigram.

    Args:
        rows: ids to count.
        unigram: that of the same ids.
        distance: ids from one to the other: 1, or a column's bands for the same band before.
    Source: Witten and Bell, IEEE Trans. Inf. Theory 37(4), 1991: how much the unigram counts
        grows with the number of different ids that followed.
    """

    def __init__(self, rows: Rows, unigram: Unigram, distance: int = 1) -> None:
        self.unigram = unigram
        self.distance = distance
        self.num_ids = int(rows.ids.max()) + 1
        before, pair = self._pairs(rows)
        is_code = rows.streams >= 0
        self.pairs, self.counts = pair[is_code].unique(return_counts=True)
        followers = self.pairs // self.num_ids
        self.followed = torch.bincount(before[is_code], minlength=2 * self.num_ids)
        self.kinds = torch.bincount(followers, minlength=2 * self.num_ids)

    def _pairs(self, rows: Rows) -> tuple[Int[Tensor, "B N"], Int[Tensor, "B N"]]:
        """Return the id before every id, that of the start where there is none, and both in one.

        What an id says of the two streams is counted apart: a code of the other cannot follow.
        """
        start = rows.ids[:, :1].expand(-1, self.distance)
        before = torch.cat((start, rows.ids[:, : -self.distance]), dim=1)
        before = before + self.num_ids * (rows.streams == 1)
        return before, before * self.num_ids + rows.ids

    def log_probability(self, rows: Rows) -> Float[Tensor, "B N"]:
        """Return that of every code; 0 at special tokens."""
        before, pair = self._pairs(rows)
        place = torch.searchsorted(self.pairs, pair).clamp_max(len(self.pairs) - 1)
        seen = torch.where(self.pairs[place] == pair, self.counts[place], 0)
        followed, kinds = self.followed[before], self.kinds[before]
        single = self.unigram.log_probability(rows).exp()
        interpolated = (seen + kinds * single) / (followed + kinds).clamp_min(1)
        return torch.where(followed > 0, interpolated, single).log()


def losses(log_probability: Float[Tensor, "B N"], rows: Rows) -> dict[str, float]:
    """Return the mean loss in nats of an id of each stream, and of both."""
    masks = {
        "semantic": rows.streams == 0,
        "acoustic": rows.streams == 1,
        "both": rows.streams >= 0,
    }
    return {name: -log_probability[mask].mean().item() for name, mask in masks.items()}
