"""Rows of ids to learn from, out of the Parquet files that `semanticodec tokenize` wrote.

pieces of a recording -> up to four of them in a row -> SemanticFirst: begin s s s | a a a end
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, cast

import datasets
import torch
from datasets import config
from jaxtyping import Int
from torch import Tensor

from semanticodec import Codes, SemantiCodec
from semanticodec.errors import CodesError
from semanticodec.lm import Layout

PIECES_PER_ROW = 4  # 10.24 s


class Rows(NamedTuple):
    """Rows of ids, padded behind.

    Attributes:
        ids: ids of the layout.
        places: 1 + position of the code in the recording, 0 at special tokens: both codes of a
            position have the same place, so that an acoustic code finds its semantic one.
        streams: 0 semantic, 1 acoustic, -1 special.
    """

    ids: Int[Tensor, "B N"]
    places: Int[Tensor, "B N"]
    streams: Int[Tensor, "B N"]

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Number of ids of every row, from begin to end."""
        steps = torch.arange(1, self.streams.shape[1] + 1)
        return 1 + torch.where(self.streams >= 0, steps, 0).amax(dim=1)  # the end is behind codes

    def batch(self, indices: Tensor) -> Rows:
        """Return some of the rows, as wide as the longest of them."""
        width = int(self.lengths[indices].max())
        return Rows(*(each[indices, :width] for each in self))

    def batches(self, batch_size: int, generator: torch.Generator) -> list[Int[Tensor, " b"]]:
        """Return the numbers of rows of one length or nearly, in random batches."""
        order = torch.randperm(len(self.ids), generator=generator)
        order = order[self.lengths[order].argsort(stable=True)]
        found = order.split(batch_size)
        return [found[number] for number in torch.randperm(len(found), generator=generator)]


def open_corpus(corpus: Path) -> datasets.Dataset:
    """Return the pieces of a corpus that `semanticodec tokenize` wrote, in order."""
    files = str(corpus / "parquet" / "*.parquet")
    cache = str(corpus / "datasets")
    config.HF_UPDATE_DOWNLOAD_COUNTS = False  # else a server is told of every load
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    return table.sort(["recording", "piece"])


def codec_of(pieces: datasets.Dataset, model: str | None = None) -> SemantiCodec:
    """Return the codec that made the codes of a corpus.

    Args:
        pieces: result of `open_corpus`.
        model: model folder or Hub id; None for the built-in model.
    Raises:
        CodesError: the codes are of another model.
    """
    first = pieces[0]
    codec = SemantiCodec.from_pretrained(
        model,
        token_rate=first["token_rate"],
        semantic_vocab_size=first["semantic_vocab_size"],
    )
    if first["fingerprint"] != codec.model_fingerprint.hex():
        raise CodesError(
            f"the corpus has codes of model {first['fingerprint']}, not of "
            f"{codec.model_fingerprint.hex()}; give the model that made it"
        )
    return codec


def rows_of(pieces: datasets.Dataset, codec: SemantiCodec, layout: Layout) -> Rows:
    """Return the rows of a corpus.

    Args:
        pieces: result of `open_corpus`.
        codec: model that made the codes.
        layout: order of the codes.
    """
    joined = _joined(cast("Iterable[dict[str, Any]]", pieces.with_format("torch")))
    codes = Codes.cat([codec.codes_from(streams[None]) for streams in joined])
    places = layout.places(codes.num_positions)
    position = places.column * codec.format.positions_per_column + places.band
    return Rows(
        ids=layout.encode(codes),
        places=torch.where(places.stream < 0, 0, 1 + position),
        streams=places.stream,
    )


def _joined(pieces: Iterable[dict[str, Any]]) -> Iterator[Int[Tensor, "2 L"]]:
    """Yield the codes of up to `PIECES_PER_ROW` pieces of a recording, one behind the other."""
    for _, recording in groupby(pieces, key=lambda piece: piece["recording"]):
        codes = [torch.stack((piece["semantic"], piece["acoustic"])) for piece in recording]
        for first in range(0, len(codes), PIECES_PER_ROW):
            yield torch.cat(codes[first : first + PIECES_PER_ROW], dim=1).long()
