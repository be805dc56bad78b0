"""What all layouts of ids for language models share: encoding, decoding, prompts, places.

A layout says in which order codes stand; everything around them is here. Ids of a recording are
a row [N], or several rows [R, N] that a model reads and writes in step.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.codes import UNKNOWN_FINGERPRINT, Codes, checked_lengths
from semanticodec.errors import CodesError
from semanticodec.lm.places import NO_PLACE, Places
from semanticodec.lm.vocabulary import STREAMS, Vocabulary
from semanticodec.token_format import TokenFormat
from semanticodec.token_layouts import PARTIAL, Ids, as_ids, whole_columns


@dataclass(frozen=True)
class Found:
    """Codes that a row of ids holds.

    Attributes:
        streams: semantic and acoustic codes of all positions that have both.
        problem: what was left out behind them and why; empty: nothing.
    """

    streams: Int[Tensor, "2 L"]
    problem: str = ""


@dataclass(frozen=True)
class Layout(ABC):
    """An order of codes for language models, with its exact inverse.

    Attributes:
        format: token rate and vocabularies: a codec's `format`.
        fingerprint: 8 bytes that name the model, `codec.model_fingerprint`; zeros: unknown.
        first_id: id of the first semantic code, see `Vocabulary`.
    """

    name: ClassVar[str]
    is_per_stream: ClassVar[bool] = False

    format: TokenFormat
    _: KW_ONLY
    fingerprint: bytes = UNKNOWN_FINGERPRINT
    first_id: int = 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Which id stands for what."""
        return Vocabulary(self.format, self.first_id, self.is_per_stream)

    @property
    def vocab_size(self) -> int:
        """Ids that a model has to know, those before `first_id` among them."""
        return self.first_id + self.vocabulary.size

    @property
    @abstractmethod
    def steps_per_second(self) -> float:
        """Steps of a language model per second of sound, without special tokens."""

    # --- codes -> ids ---

    def encode(self, codes: Codes) -> Int[Tensor, "B ..."]:
        """Return the ids of recordings to train on: begin, codes, end, then padding.

        Args:
            codes: one or more recordings.
        Returns:
            Ids [B, N], or [B, R, N] of a layout with several rows.
        Raises:
            CodesError: codes of another format or model.
        """
        self._check(codes)
        rows = [self._row(self.vocabulary.ids(item.stacked()[0])) for item in codes]
        return _joined(rows, self.vocabulary.pad)

    def prompt(self, codes: Codes) -> Int[Tensor, "B ..."]:
        """Return the ids of recordings to continue: padding, begin, codes.

        Args:
            codes: one or more recordings.
        Returns:
            As of `encode`, padded in front, so that all recordings go on at the same step.
        Raises:
            CodesError: codes of another format or model.
        """
        self._check(codes)
        rows = [
            self._row(self.vocabulary.ids(item.stacked()[0]))[
                ..., : 1 + self._num_steps(item.num_positions[0])
            ]
            for item in codes
        ]
        return _joined(rows, self.vocabulary.pad, is_front_padded=True)

    def places(self, num_positions: Sequence[int]) -> Places:
        """Return where every id of `encode` lies in time and frequency.

        Args:
            num_positions: positions of each recording: `codes.num_positions`.
        """
        # A row of numbers above all ids, which say what they stand for.
        rows, first = [], self.vocab_size
        for length in num_positions:
            numbers = first + torch.arange(2 * length).unflatten(0, (2, length))  # 2L -> 2 L
            row = self._row(numbers) - first
            stream = torch.where(row < 0, NO_PLACE, row // length)
            position = torch.where(row < 0, NO_PLACE, row % length)
            rows.append(torch.stack((stream, position)))
        stream, position = _joined(rows, NO_PLACE).unbind(1)
        bands = self.format.positions_per_column
        is_special = position == NO_PLACE
        return Places(
            stream=stream,
            band=torch.where(is_special, NO_PLACE, position % bands),
            column=torch.where(is_special, NO_PLACE, position // bands),
            grid=self.format,
        )

    def _check(self, codes: Codes) -> None:
        if codes.format != self.format:
            raise CodesError(
                f"codes of {codes.format}; this layout is for {self.format}: make it with the "
                "codes' own format"
            )
        names = {codes.fingerprint, self.fingerprint} - {UNKNOWN_FINGERPRINT}
        if len(names) > 1:
            raise CodesError(
                f"codes of model {codes.fingerprint.hex()}; this layout is for model "
                f"{self.fingerprint.hex()}, to which they would mean something else"
            )

    @abstractmethod
    def _row(self, streams: Int[Tensor, "2 L"]) -> Int[Tensor, "... N"]:
        """Return begin, the ids of one recording in order, and end."""

    @abstractmethod
    def _num_steps(self, num_positions: int) -> int:
        """Return the steps behind begin that a prompt of a recording has."""

    def _framed(self, ids: Int[Tensor, " N"]) -> Int[Tensor, " N2"]:
        """Return ids between begin and end."""
        ends = ids.new_tensor([self.vocabulary.begin, self.vocabulary.end])
        return torch.cat((ends[:1], ids, ends[1:]))

    # --- ids -> codes ---

    def decode(
        self, ids: Ids, *, num_samples: Sequence[int] | None = None, partial: str = "cut"
    ) -> Codes:
        """Return the codes of ids, such as a language model's.

        A row counts from behind its first begin, if it has one, to its first end or padding.
        Where it holds something else than the code that belongs there, or stops inside a column,
        codes up to there are returned and a warning says what is left out.

        Args:
            ids: tensor or array [B, N] ([B, R, N] of a layout with several rows), or a list of
                rows of any lengths.
            num_samples: length of each item's audio where it is known, `codes.num_samples`; None:
                it fills the columns.
            partial: treatment of a last column that is not whole: "cut" it off, "fill" its missing
                bands as in the column before, or "refuse" whatever would be left out.
        Returns:
            Codes, on the device of the ids.
        Raises:
            CodesError: another shape, an item without a whole column, or what is refused.
        """
        if partial not in PARTIAL:
            raise CodesError(f"partial is {partial!r}; choose one of {', '.join(PARTIAL)}")
        rows = [self._checked_row(row) for row in _items(ids)]
        lengths = None if num_samples is None else checked_lengths(num_samples)
        if lengths is not None and len(lengths) != len(rows):
            raise CodesError(
                f"{len(lengths)} lengths for {len(rows)} items; give num_samples one entry per item"
            )
        items = []
        for index, row in enumerate(rows):
            item, problem = self._item(index, self._found(row), partial)
            if problem:
                warnings.warn(
                    f"item {index}: {problem}; {item.duration_s[0]:.2f} s are kept", stacklevel=2
                )
            items.append(item)
        if lengths is not None:
            items = [_shortened(item, length) for item, length in zip(items, lengths)]
        return Codes.cat(items)

    @abstractmethod
    def _found(self, row: Int[Tensor, "... N"]) -> Found:
        """Return the codes of one recording."""

    def _checked_row(self, row: Ids) -> Int[Tensor, "..."]:
        tensor = as_ids("ids", row)
        if tensor.ndim != 1:
            raise CodesError(
                f"ids of shape {list(tensor.shape)} for one recording; the layout {self.name} has "
                "[N]: give [B, N]"
            )
        return tensor

    def _item(self, index: int, found: Found, partial: str) -> tuple[Codes, str]:
        """Return the codes of one item, in whole columns, and what is left out."""
        bands, length = self.format.positions_per_column, found.streams.shape[1]
        problem = found.problem
        if length % bands:
            inside = f"it stops inside a column, behind {length % bands} of {bands} bands"
            problem = f"{problem}; {inside}" if problem else inside
        if problem and partial == "refuse":
            raise CodesError(f"item {index}: {problem}; give whole columns, or partial='cut'")
        if not length or (length < bands and partial == "cut"):
            raise CodesError(
                f"item {index} has no whole column"
                + (f": {problem}" if problem else "")
                + "; let the model go on, or decode the other items alone"
            )
        streams = whole_columns(found.streams[None], bands, partial)  # 2 L -> 1 2 L
        return Codes.from_stacked(
            streams, format=self.format, fingerprint=self.fingerprint
        ), problem

    def _body(self, row: Int[Tensor, "... N"]) -> Int[Tensor, "... N2"]:
        """Return what is behind the first begin, or without one, behind padding in front.

        The first of several rows decides.
        """
        first = row if row.ndim == 1 else row[0]
        begins = (first == self.vocabulary.begin).nonzero()
        if len(begins):
            return row[..., int(begins[0]) + 1 :]
        content = (first != self.vocabulary.pad).nonzero()
        return row[..., int(content[0]) if len(content) else len(first) :]

    def _ended(self, body: Int[Tensor, " N"]) -> Int[Tensor, " N2"]:
        """Return what is in front of the first end or padding."""
        is_end = (body == self.vocabulary.end) | (body == self.vocabulary.pad)
        return body[: first_true(is_end)]

    def _prefix(
        self, ids: Int[Tensor, " N"], pattern: Sequence[int]
    ) -> tuple[Int[Tensor, " N2"], Int[Tensor, " N2"], str]:
        """Return ids up to the first that is no code of its stream.

        Args:
            ids: ids of one row.
            pattern: streams whose codes follow each other, again and again.
        Returns:
            Ids, their streams, and what is wrong with the next one.
        """
        repeats = -(-len(ids) // len(pattern))
        stream = torch.tensor(pattern, device=ids.device).repeat(repeats)[: len(ids)]
        is_acoustic = stream == 1
        is_right = torch.where(
            is_acoustic, self.vocabulary.is_code(ids, 1), self.vocabulary.is_code(ids, 0)
        )
        length = first_true(~is_right)
        problem = ""
        if length < len(ids):
            kind = STREAMS[int(stream[length])]
            problem = f"id {int(ids[length])} is no {kind} code, which would be next"
        return ids[:length], stream[:length], problem


def paired(semantic: Int[Tensor, " N"], acoustic: Int[Tensor, " N2"], problem: str) -> Found:
    """Return the positions that have both codes."""
    length = min(len(semantic), len(acoustic))
    if len(semantic) != len(acoustic) and not problem:
        problem = f"{len(semantic)} semantic and {len(acoustic)} acoustic codes"
    return Found(torch.stack((semantic[:length], acoustic[:length])), problem)


def first_true(is_found: Tensor) -> int:
    """Return the place of the first True, or the length."""
    places = is_found.nonzero()
    return int(places[0]) if len(places) else len(is_found)


def _items(ids: Ids) -> list[Ids]:
    """Return the rows of a batch."""
    is_array = isinstance(ids, Tensor | np.ndarray)
    is_batch = ids.ndim > 0 if is_array else isinstance(ids, Sequence)
    if not is_batch or not len(ids):
        raise CodesError("no ids; give those of one or more recordings, [B, N]")
    return list(ids)


def _joined(
    rows: Sequence[Int[Tensor, "... _N"]], fill: int, *, is_front_padded: bool = False
) -> Int[Tensor, "B ..."]:
    """Return rows as one batch, padded to the longest."""
    longest = max(row.shape[-1] for row in rows)
    missing = [longest - row.shape[-1] for row in rows]
    return torch.stack(
        [
            F.pad(row, (number, 0) if is_front_padded else (0, number), value=fill)
            for row, number in zip(rows, missing)
        ]
    )


def _shortened(item: Codes, num_samples: int) -> Codes:
    """Return an item of a known length, or what there is of it."""
    samples = min(num_samples, item.num_samples[0])
    length = item.format.num_positions(samples)
    return replace(
        item,
        semantic=item.semantic[:, :length],
        acoustic=item.acoustic[:, :length],
        num_samples=(samples,),
    )
