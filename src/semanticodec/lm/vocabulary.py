"""The ids of a language model: semantic codes, acoustic codes, special tokens.

    first_id                    semantic codes, `<|s_0|>` ...
    + semantic_vocab_size       acoustic codes, `<|a_0|>` ...
    + acoustic_vocab_size       special tokens, in the order of `SPECIAL_TOKENS`

So ids of codes are those of `Codes.interleaved()` where `first_id` is 0. Layouts with a row per
stream count from `first_id` in every row; special tokens follow the larger vocabulary there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from semanticodec.errors import CodesError, ConfigError
from semanticodec.token_format import TokenFormat
from semanticodec.token_layouts import Ids, as_ids

# pad: behind the end or in front of a prompt. begin, end: around a recording. acoustic: between
# the streams of the layout that has one after the other. empty: where a delayed stream waits.
SPECIAL_TOKENS = {
    "pad": "<|audio_pad|>",
    "begin": "<|audio_begin|>",
    "end": "<|audio_end|>",
    "acoustic": "<|acoustic|>",
    "empty": "<|audio_empty|>",
}
# Letters of the two streams in text tokens, and their names in messages.
LETTERS = ("s", "a")
STREAMS = ("semantic", "acoustic")
# What text that is no token becomes; no code, so that decoding stops there.
UNKNOWN_ID = -1

PIECE = re.compile(r"<\|[^|<>\s]+\|>|\S+?(?=<\||\s|$)")


@dataclass(frozen=True)
class Vocabulary:
    """Which id stands for what.

    Attributes:
        format: sizes of the two vocabularies: a codec's `format`.
        first_id: id of the first semantic code: 0, or the size of a text vocabulary before it.
        is_per_stream: whether every stream has a row, and an embedding table, of its own; ids
            of both streams then start at `first_id`.
    Raises:
        ConfigError: a first id that is no whole number from 0.
    """

    format: TokenFormat
    first_id: int = 0
    is_per_stream: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.first_id, Integral) or self.first_id < 0:
            raise ConfigError(
                f"first_id {self.first_id!r}; give a whole number from 0, such as the size of the "
                "text vocabulary before the codes"
            )

    # --- sizes and special tokens ---

    @property
    def size(self) -> int:
        """Number of ids; they end before `first_id + size`."""
        return self._num_codes + len(SPECIAL_TOKENS)

    @property
    def _num_codes(self) -> int:
        return (max if self.is_per_stream else sum)(self.format.vocab_sizes)

    @property
    def pad(self) -> int:
        """Id of what fills up a batch."""
        return self._special("pad")

    @property
    def begin(self) -> int:
        """Id in front of a recording."""
        return self._special("begin")

    @property
    def end(self) -> int:
        """Id behind a recording, an `eos_token_id`."""
        return self._special("end")

    @property
    def acoustic(self) -> int:
        """Id between the streams where the acoustic one comes after the semantic one."""
        return self._special("acoustic")

    @property
    def empty(self) -> int:
        """Id where a delayed stream has no code yet."""
        return self._special("empty")

    def _special(self, name: str) -> int:
        return self.first_id + self._num_codes + list(SPECIAL_TOKENS).index(name)

    # --- codes and ids ---

    def first_of(self, stream: int) -> int:
        """Return the id of code 0 of a stream, 0 (semantic) or 1 (acoustic)."""
        is_moved = stream == 1 and not self.is_per_stream
        return self.first_id + (self.format.semantic_vocab_size if is_moved else 0)

    def ids(self, streams: Int[Tensor, "2 L"]) -> Int[Tensor, "2 L"]:
        """Return the ids of semantic and acoustic codes."""
        first = torch.tensor([[self.first_of(0)], [self.first_of(1)]], device=streams.device)
        return streams + first

    def codes(self, ids: Int[Tensor, " N"], stream: int) -> Int[Tensor, " N"]:
        """Return the codes that ids of one stream stand for, the inverse of `ids`."""
        return ids - self.first_of(stream)

    def is_code(self, ids: Int[Tensor, " N"], stream: int) -> Bool[Tensor, " N"]:
        """Say which ids are codes of a stream."""
        codes = self.codes(ids, stream)
        return (codes >= 0) & (codes < self.format.vocab_sizes[stream])

    # --- text ---

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Text tokens in the order of their ids: `<|s_0|>` ... `<|a_0|>` ... and special ones.

        Raises:
            ConfigError: ids that mean something else in every row.
        """
        if self.is_per_stream:
            raise ConfigError(
                "a layout with a row per stream has no text tokens; take one with a single row, "
                "such as interleaved"
            )
        streams = zip(LETTERS, self.format.vocab_sizes)
        codes = [f"<|{letter}_{code}|>" for letter, size in streams for code in range(size)]
        return (*codes, *SPECIAL_TOKENS.values())

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {token: self.first_id + place for place, token in enumerate(self.tokens)}

    def text(self, ids: Ids) -> str:
        """Return the text tokens of ids, without anything between them.

        Args:
            ids: ids [N] of one recording.
        Raises:
            CodesError: another shape, or an id outside the vocabulary.
        """
        row = as_ids("ids", ids)
        if row.ndim != 1:
            raise CodesError(f"ids of shape {list(row.shape)}; give those of one recording, [N]")
        places = (row - self.first_id).tolist()
        if places and not 0 <= min(places) <= max(places) < self.size:
            raise CodesError(
                f"ids from {int(row.min())} to {int(row.max())}; this vocabulary has those from "
                f"{self.first_id} to {self.first_id + self.size - 1}"
            )
        return "".join(self.tokens[place] for place in places)

    def ids_of(self, text: str) -> Int[Tensor, " N"]:
        """Return the ids of text tokens; what is in front of `<|audio_begin|>` does not count.

        Args:
            text: tokens with or without white space between them, such as a language model's.
        Returns:
            Ids; -1 for every piece of text that is no token of this vocabulary.
        """
        _, begin, rest = text.partition(SPECIAL_TOKENS["begin"])
        pieces = PIECE.findall(begin + rest if begin else text)
        return self._tensor(self._id_of.get(piece, UNKNOWN_ID) for piece in pieces)

    @staticmethod
    def _tensor(ids: Iterable[int]) -> Int[Tensor, " N"]:
        return torch.tensor(list(ids), dtype=torch.int64)
