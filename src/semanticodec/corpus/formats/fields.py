"""A record as fields that JSON can hold beside its array of codes, and back."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt16

from semanticodec.codes import Codes
from semanticodec.corpus.record import TokenRecord
from semanticodec.errors import CodesError, DataError, SemantiCodecError
from semanticodec.token_format import TokenFormat

MOST_CODES = 1 << 16
_LARGEST_HEADER = 10_000
_FAULTS = (ValueError, KeyError, TypeError, OverflowError, EOFError, zlib.error)


def fields_of(record: TokenRecord) -> dict[str, Any]:
    """Return everything about a record but its codes, ready for JSON."""
    format = record.codes.format
    return {
        "id": record.id,
        "source": record.source,
        "num_samples": record.codes.num_samples[0],
        "token_rate": format.token_rate,
        "sample_rate": format.sample_rate,
        "semantic_vocab_size": format.semantic_vocab_size,
        "acoustic_vocab_size": format.acoustic_vocab_size,
        "fingerprint": record.codes.fingerprint.hex(),
        "columns": dict(record.columns),
    }


def ids_of(record: TokenRecord) -> UInt16[np.ndarray, "2 L"]:
    """Return a record's codes, semantic and acoustic.

    Raises:
        CodesError: a vocabulary of more than 65536 codes.
    """
    largest = max(record.codes.vocab_sizes)
    if largest > MOST_CODES:
        raise CodesError(
            f"a vocabulary of {largest} codes; formats of corpora hold up to {MOST_CODES}: "
            "use a smaller codebook"
        )
    return record.codes.stacked()[0].numpy().astype(np.uint16)  # 1 2 L -> 2 L


def record_of(fields: Mapping[str, Any], ids: Integer[np.ndarray, "2 L"]) -> TokenRecord:
    """Return the record of which `fields_of` and `ids_of` told.

    Raises:
        SemantiCodecError, KeyError, TypeError, ValueError: fields that describe no record; within
            `reading` they become a `DataError`.
    """
    format = TokenFormat(
        fields["token_rate"],
        sample_rate=fields["sample_rate"],
        semantic_vocab_size=fields["semantic_vocab_size"],
        acoustic_vocab_size=fields["acoustic_vocab_size"],
    )
    codes = Codes.from_stacked(
        ids[None].astype(np.int64),
        format=format,
        num_samples=(fields["num_samples"],),
        fingerprint=bytes.fromhex(fields["fingerprint"]),
    )
    columns = dict(fields["columns"])
    return TokenRecord(id=fields["id"], codes=codes, source=fields["source"], columns=columns)


class _UnreadableError(DataError):
    """A `DataError` that names its file."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the content of a file as a `DataError` that names it."""
    try:
        yield
    except _UnreadableError:
        raise
    except (SemantiCodecError, OSError, *_FAULTS) as error:
        raise _UnreadableError(
            f"{path} cannot be read ({error}); remove it and run the same command again"
        ) from error


def to_line(fields: Mapping[str, Any]) -> str:
    """Return fields as one line of JSON."""
    return json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file.

    Raises:
        DataError: a line is none.
    """
    with reading(path), path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def npy_bytes(array: np.ndarray) -> bytes:
    """Return the content of an `.npy` file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def ids_of_npy(data: bytes) -> UInt16[np.ndarray, "2 L"]:
    """Return the codes that an `.npy` file holds.

    Raises:
        ValueError: another type or shape, or fewer bytes than its header says.
    """
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(
        file, max_header_size=_LARGEST_HEADER
    )
    ids = data[file.tell() :]
    if dtype != np.uint16 or is_fortran or shape != (2, len(ids) // 4):
        raise ValueError(f"it holds {dtype} of shape {shape}, not codes")
    return np.frombuffer(ids, "<u2").reshape(shape)
