"""Entropy coding of payloads: a code costs the fewer bits the likelier its neighbors make it.

Each stream has a small network of integers. It sees the points of the codes around a position
(a point is a code's vector in few dimensions) and gives every code a number of parts, in two steps:
first the class of the code, then the code among the members of its class. `ans` turns parts into
bits.

    points of  t-2: f          both streams     -+
               t-1: f-1 f f+1  both streams      |
               running means of band f           +-> hidden -> class
               t:   f-2 f-1    both streams      |          -> query . points of its members
               t:   f          semantic; acoustic alone     -+
    and a bonus for codes that stand around the position themselves

Everything is an integer, or a float64 that holds one exactly: sums stay far below 2^53, so that
their order does not matter, and encoder and decoder agree on every machine. Blocks are
independent: what lies before a block counts as zeros.

Shapes: T columns · F bands · N = T * F positions · D dimensions of a point · I inputs · H hidden ·
C classes · M members of a class · V = C * M codes, in order of their classes ("ranks").
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semanticodec.container import ans
from semanticodec.container.framing import Streams
from semanticodec.container.neighbors import (
    COPY_PLACES,
    NUM_EARLIER,
    NUM_INPUTS,
    POINT_SIZE,
    Neighbors,
)
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenFormat

STREAMS = ("semantic", "acoustic")
POINT_SCALE = 1 << 6  # a point of 1.0
WEIGHT_SCALE = 1 << 10
LOGIT_SCALE = 1 << 8  # one nat
NUM_COLUMN_KINDS = 3  # first, second and later columns

_HIDDEN_STEP = POINT_SCALE * WEIGHT_SCALE >> 8  # hidden values are in 1/256
_HIDDEN_TOP = (1 << 13) - 1
_MAX_HIDDEN = 1024
# Parts of a code by how many 1/256 nat it is below the likeliest; none has less than one. No
# value is near a half, so that rounding is the same for every exp() in the world. A block loses
# the bits of the most parts once, and the likeliest code what the others have at least.
MOST_PARTS = 1 << 15
_PARTS = np.rint(MOST_PARTS * np.exp(-np.arange(11 * LOGIT_SCALE) / LOGIT_SCALE)).astype(np.int64)
PARTS = np.maximum(_PARTS, 1)

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def class_counts(vocab_size: int) -> tuple[int, int]:
    """Return the number of classes and of members of each, C and M."""
    bits = vocab_size.bit_length() - 1
    return 1 << (bits + 1) // 2, 1 << bits // 2


def table_shapes(format: TokenFormat) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Return type and shape of every table by name; None: any size, H."""
    num_bands = format.positions_per_column
    shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {}
    for stream, vocab_size in zip(STREAMS, format.vocab_sizes, strict=True):
        num_classes, _ = class_counts(vocab_size)
        shapes |= {
            f"{stream}.codes": ("uint16", (vocab_size,)),  # of every rank
            f"{stream}.points": ("int8", (vocab_size, POINT_SIZE)),  # of every rank
            f"{stream}.hidden": ("int16", (NUM_INPUTS[STREAMS.index(stream)], None)),
            f"{stream}.hidden_bias": ("int32", (NUM_COLUMN_KINDS, num_bands, None)),
            f"{stream}.classes": ("int16", (None, num_classes)),
            f"{stream}.class_bias": ("int32", (num_classes,)),
            f"{stream}.query": ("int16", (None, POINT_SIZE + 1)),
            f"{stream}.query_bias": ("int32", (POINT_SIZE + 1,)),
            f"{stream}.member_bias": ("int16", (vocab_size,)),
            f"{stream}.copies": ("int16", (len(COPY_PLACES), 2)),
        }
    return shapes


def with_norm(points: Array) -> Array:
    """Return points with their squared length behind them: ... D -> ... D+1."""
    norm = np.floor((points**2).sum(-1, keepdims=True) / POINT_SCALE) - POINT_SCALE
    return np.concatenate((points, norm), -1)


@dataclass(frozen=True, eq=False)
class StreamTables:
    """The tables of one stream, exact integers in float64 where they are multiplied."""

    codes: Ints
    ranks: Ints
    points: Array
    member_points: Array  # C M D+1
    hidden: Array
    hidden_bias: Array
    classes: Array
    class_bias: Array
    query: Array
    query_bias: Array
    member_bias: Ints  # C M
    copies: list[list[int]]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.generic]], stream: str) -> "StreamTables":
        """Return the tables of a stream from those of a file."""
        prefix = f"{stream}."
        own = {name[len(prefix) :]: arrays[name] for name in arrays if name.startswith(prefix)}
        codes = own["codes"].astype(np.int64)
        if not np.array_equal(np.sort(codes), np.arange(len(codes))):
            raise ContainerError(f"the tables do not name every {stream} code once: restore them")
        floats = {name: table.astype(np.float64) for name, table in own.items()}
        num_classes, num_members = class_counts(len(codes))
        members = with_norm(floats["points"]).reshape(num_classes, num_members, -1)
        return cls(
            codes=codes,
            ranks=np.argsort(codes),
            points=floats["points"],
            member_points=members,
            hidden=floats["hidden"],
            hidden_bias=floats["hidden_bias"],
            classes=floats["classes"],
            class_bias=floats["class_bias"],
            query=floats["query"],
            query_bias=floats["query_bias"],
            member_bias=own["member_bias"].astype(np.int64).reshape(num_classes, num_members),
            copies=own["copies"].tolist(),
        )

    @property
    def num_members(self) -> int:
        """Members of a class, M."""
        return self.member_bias.shape[1]

    def hidden_of(self, sums: Array) -> Array:
        """Return the hidden values of sums of inputs times weights: ... H."""
        return np.clip(np.floor(sums / _HIDDEN_STEP), 0, _HIDDEN_TOP)

    def class_logits(self, hidden: Array) -> Ints:
        """Return the logits of all classes, without copies: ... H -> ... C."""
        sums = hidden @ self.classes + self.class_bias
        return np.floor(sums / WEIGHT_SCALE).astype(np.int64)

    def queries(self, hidden: Array) -> Array:
        """Return what the points of members are multiplied with: ... H -> ... D+1."""
        return np.floor((hidden @ self.query + self.query_bias) / WEIGHT_SCALE)


class EntropyCoder:
    """The `PayloadCoder` of a model's codes.

    Attributes:
        tables: u16 that names the tables.

    Args:
        format: token rate and vocabularies of the codes.
        arrays: tables by name, as `table_shapes` has them.
    Raises:
        ContainerError: tables of another setting, or damaged ones.
    """

    def __init__(self, format: TokenFormat, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        _check_tables(format, arrays)
        self.tables = tables_name(arrays)
        self._num_bands = format.positions_per_column
        self._streams = [StreamTables.of(arrays, stream) for stream in STREAMS]

    def encode(self, semantic: NDArray[np.integer], acoustic: NDArray[np.integer]) -> bytes:
        """Return the payload of one block.

        Args:
            semantic: codes [N] within the vocabulary, whole columns.
            acoustic: codes [N] within the vocabulary.
        """
        ranks = [
            tables.ranks[codes].reshape(-1, self._num_bands)
            for tables, codes in zip(self._streams, (semantic, acoustic), strict=True)
        ]
        neighbors = self._neighbors(len(ranks[0]))
        neighbors.put_all(ranks)
        parts: list[Ints] = []  # each N 3
        for number, tables in enumerate(self._streams):
            sums = neighbors.inputs(number) @ tables.hidden  # T F H
            sums += tables.hidden_bias[np.minimum(np.arange(len(sums)), NUM_COLUMN_KINDS - 1)]
            met = neighbors.met(number).reshape(len(semantic), -1)
            parts += _parts(tables, sums.reshape(len(semantic), -1), met, ranks[number].ravel())
        in_order = np.stack(parts, axis=1).reshape(-1, 3)  # N 4 3 -> symbols in decoding order
        return ans.encode(map(tuple, in_order[::-1].tolist()))

    def decode(self, payload: bytes, num_positions: int) -> Streams:
        """Return the codes of one block.

        Raises:
            ContainerError: no payload of so many positions.
        """
        decoder = ans.Decoder(payload)
        num_columns = num_positions // self._num_bands
        neighbors = self._neighbors(num_columns)
        for column in range(num_columns):
            earlier = neighbors.earlier(column)  # F I
            kind = min(column, NUM_COLUMN_KINDS - 1)
            sums = [
                earlier @ tables.hidden[:NUM_EARLIER] + tables.hidden_bias[kind]
                for tables in self._streams
            ]
            for band in range(self._num_bands):
                for number, tables in enumerate(self._streams):
                    here = neighbors.here(column, band, number) @ tables.hidden[NUM_EARLIER:]
                    hidden = tables.hidden_of(sums[number][band] + here)
                    met = neighbors.met_at(column, band, number)
                    rank = _next_rank(tables, hidden, met, decoder)
                    neighbors.put(column, band, number, rank)
            neighbors.end_column(column)
        if not decoder.is_at_end:
            raise ContainerError("damaged (its payload is none of these tables)")
        semantic, acoustic = (
            tables.codes[neighbors.ranks(number)] for number, tables in enumerate(self._streams)
        )
        return semantic, acoustic

    def _neighbors(self, num_columns: int) -> Neighbors:
        points = [tables.points for tables in self._streams]
        return Neighbors(points, num_columns, self._num_bands)


def tables_name(arrays: Mapping[str, NDArray[np.generic]]) -> int:
    """Return the u16 that names tables: any change makes it another one, almost surely."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].astype(arrays[name].dtype.newbyteorder("<")).tobytes(), crc)
    return crc & 0xFFFF


def _check_tables(format: TokenFormat, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    shapes = table_shapes(format)
    if set(shapes) != set(arrays):
        odd = ", ".join(sorted(set(shapes) ^ set(arrays))[:3])
        raise ContainerError(f"tables for entropy coding that lack or add {odd}: restore the file")
    for stream in STREAMS:
        hidden = arrays[f"{stream}.hidden"].shape[-1:]
        size = hidden[0] if hidden else 0
        for name, (kind, shape) in shapes.items():
            expected = tuple(size if length is None else length for length in shape)
            found = arrays[name]
            if not name.startswith(stream):
                continue
            if found.shape != expected or found.dtype != kind or not 1 <= size <= _MAX_HIDDEN:
                raise ContainerError(
                    f"tables for entropy coding with {name} {found.dtype} {list(found.shape)}; "
                    f"this setting takes {kind} {list(expected)}: take the file of the model's "
                    "own token rate and vocabulary"
                )


def _next_rank(tables: StreamTables, hidden: Array, met: list[int], decoder: ans.Decoder) -> int:
    """Return the next code's rank from its hidden values and the ranks around it."""
    logits = tables.class_logits(hidden)
    num_members = tables.num_members
    for rank, (bonus, _) in zip(met, tables.copies, strict=True):
        if rank >= 0:
            logits[rank // num_members] += bonus
    own = decoder.next(_parts_of(logits).cumsum())
    products = tables.member_points[own] @ tables.queries(hidden)
    logits = np.floor(products / POINT_SCALE).astype(np.int64) + tables.member_bias[own]
    for rank, (_, bonus) in zip(met, tables.copies, strict=True):
        if rank >= 0 and rank // num_members == own:
            logits[rank % num_members] += bonus
    return own * num_members + decoder.next(_parts_of(logits).cumsum())


def _parts(tables: StreamTables, sums: Array, met: Ints, ranks: Ints) -> list[NDArray[np.int64]]:
    """Return the parts of all classes and members that were chosen, N 3 each."""
    num_members = tables.num_members
    own, members = np.divmod(ranks, num_members)
    hidden = tables.hidden_of(sums)
    logits = tables.class_logits(hidden)
    rows = np.arange(len(ranks))
    for place, (bonus, _) in enumerate(tables.copies):
        is_met = met[:, place] >= 0
        logits[rows[is_met], met[is_met, place] // num_members] += bonus
    chosen = [_chosen(logits, own)]
    products = np.einsum("nmd,nd->nm", tables.member_points[own], tables.queries(hidden))
    logits = np.floor(products / POINT_SCALE).astype(np.int64) + tables.member_bias[own]
    for place, (_, bonus) in enumerate(tables.copies):
        is_met = (met[:, place] >= 0) & (met[:, place] // num_members == own)
        logits[rows[is_met], met[is_met, place] % num_members] += bonus
    return [*chosen, _chosen(logits, members)]


def _parts_of(logits: Ints) -> Ints:
    return PARTS[np.minimum(logits.max(-1, keepdims=True) - logits, len(PARTS) - 1)]


def _chosen(logits: Ints, symbols: Ints) -> Ints:
    """Return first part, number of parts and total of the symbols of all rows: N 3."""
    parts = _parts_of(logits)
    ends = parts.cumsum(-1)
    rows = np.arange(len(symbols))
    frequencies = parts[rows, symbols]
    return np.stack((ends[rows, symbols] - frequencies, frequencies, ends[:, -1]), -1)
