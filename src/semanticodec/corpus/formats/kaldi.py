"""Kaldi's ark and scp, and ESPnet-SpeechLM's `data.json` for its task `audiolm`.

FOLDER/kaldi/00012/codes.ark         int32 vectors: s0 a0 s1 a1 ..., acoustic codes moved up by
                                     the semantic vocabulary, as `Codes.interleaved` has them
FOLDER/kaldi/00012/codes.scp         KEY codes.ark:OFFSET, of this shard
FOLDER/kaldi/00012/records.jsonl     id, source, columns and the settings of the codes
FOLDER/kaldi/wav.scp                 all shards', with absolute paths
FOLDER/kaldi/codec_token_list        a name for each number in the arks, one per line
FOLDER/kaldi/data.json               what ESPnet opens

Source: Kaldi, "Kaldi I/O mechanisms"; ESPnet, egs2/TEMPLATE/speechlm1/README.md, "Make data.json".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int32

from semanticodec.corpus.formats.fields import (
    fields_of,
    ids_of,
    read_lines,
    reading,
    record_of,
    to_line,
)
from semanticodec.corpus.formats.keys import key_of
from semanticodec.corpus.formats.shards import relative, shard_folders
from semanticodec.corpus.record import TokenRecord
from semanticodec.files import atomic_folder, atomic_path, write_text

ARK_NAME, SCP_NAME, LIST_NAME = "codes.ark", "codes.scp", "records.jsonl"
JOINED_NAME, TOKENS_NAME, DATA_NAME = "wav.scp", "codec_token_list", "data.json"

# A binary vector: the mark of binary data, then a size, then as many numbers; every number, the
# size too, has its width in bytes before it.
_START = struct.Struct("<2sbi")
_NUMBER = np.dtype([("width", "i1"), ("value", "<i4")])
_WIDTH = 4
_LONGEST_KEY = 4096


class Kaldi:
    """Arks, their scp and ESPnet's `data.json`; see the module and `CorpusFormat`."""

    name = "kaldi"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        target = folder / self.name / shard
        with (
            atomic_folder(target) as partial,
            (partial / ARK_NAME).open("wb") as ark,
            (partial / SCP_NAME).open("w", encoding="utf-8") as scp,
            (partial / LIST_NAME).open("w", encoding="utf-8") as listed,
        ):
            for record in records:
                key = key_of(record.id)
                ark.write(f"{key} ".encode())
                scp.write(f"{key} {ARK_NAME}:{ark.tell()}\n")
                _write_vector(ark, _interleaved(record))
                listed.write(to_line(fields_of(record)))
        return relative(folder, [target / name for name in (ARK_NAME, SCP_NAME, LIST_NAME)])

    def finish(self, folder: Path) -> list[Path]:
        """Write `wav.scp`, the list of tokens and `data.json`; see `CorpusFormat.finish`."""
        top = (folder / self.name).resolve()
        shards = shard_folders(top)
        joined, tokens, data = (top / name for name in (JOINED_NAME, TOKENS_NAME, DATA_NAME))
        with atomic_path(joined) as partial, partial.open("w", encoding="utf-8") as file:
            for key, place in _places(shards):
                file.write(f"{key} {place}\n")
        write_text(tokens, "".join(f"{token}\n" for token in _tokens(shards)))
        with atomic_path(data) as partial, partial.open("w", encoding="utf-8") as file:
            _write_data(file.write, joined, tokens, shards)
        return [Path(self.name, path.name) for path in (joined, tokens, data)]

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for shard in shard_folders(folder / self.name):
            path = shard / ARK_NAME
            with reading(path), path.open("rb") as ark:
                for fields in read_lines(shard / LIST_NAME):
                    key = _read_key(ark)
                    if key != key_of(fields["id"]):
                        raise ValueError(f"it has {key} in the place of {key_of(fields['id'])}")
                    ids = _read_vector(ark, path.stat().st_size)
                    streams = ids.reshape(-1, 2).T.astype(np.int64)  # 2L -> 2 L
                    streams[1] -= fields["semantic_vocab_size"]
                    yield record_of(fields, streams)
                if ark.read(1):
                    raise ValueError(f"it goes on behind what {LIST_NAME} lists")


def _interleaved(record: TokenRecord) -> Int32[np.ndarray, " L2"]:
    streams = ids_of(record).astype(np.int32)
    streams[1] += record.codes.semantic_vocab_size
    return streams.T.reshape(-1)  # 2 L -> 2L


def _write_vector(file: BinaryIO, values: Int32[np.ndarray, " N"]) -> None:
    numbers = np.empty(len(values), _NUMBER)
    numbers["width"], numbers["value"] = _WIDTH, values
    file.write(_START.pack(b"\0B", _WIDTH, len(values)) + numbers.tobytes())


def _read_key(file: BinaryIO) -> str:
    """Return the key in front of the next vector."""
    key = bytearray()
    while (letter := file.read(1)) not in (b"", b" "):
        key += letter
        if len(key) > _LONGEST_KEY:
            raise ValueError("it has no key where one is expected")
    return key.decode()


def _read_vector(file: BinaryIO, file_size: int) -> Int32[np.ndarray, " N"]:
    mark, width, count = _START.unpack(file.read(_START.size))
    size = count * _NUMBER.itemsize
    if mark != b"\0B" or width != _WIDTH or not 0 <= size <= file_size:
        raise ValueError("it holds no vector where one is expected")
    return np.frombuffer(file.read(size), _NUMBER, count)["value"].astype(np.int32)


def _places(shards: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the key of every record, and the absolute path and offset of its vector."""
    for shard in shards:
        with reading(shard / SCP_NAME), (shard / SCP_NAME).open(encoding="utf-8") as scp:
            for line in scp:
                key, place = line.split()
                yield key, str(shard / place)


def _tokens(shards: Sequence[Path]) -> Iterator[str]:
    """Yield a name for each number in the arks; all shards have the settings of the first."""
    for shard in shards[:1]:
        fields = next(read_lines(shard / LIST_NAME))
        for stream in ("semantic", "acoustic"):
            for code in range(fields[f"{stream}_vocab_size"]):
                yield f"<{stream}_{code}>"


def _write_data(
    write: Callable[[str], object], joined: Path, tokens: Path, shards: Sequence[Path]
) -> None:
    """Write `data.json` piece by piece: its list of examples may be long."""
    start = {
        "task": "audiolm",
        "vocabularies": [str(tokens)],
        "data_files": [f"{joined},codec,kaldi_ark"],
        "num_examples": sum(1 for _ in _places(shards)),
    }
    write(json.dumps(start, ensure_ascii=False)[:-1] + ', "examples": [')
    for number, (key, _) in enumerate(_places(shards)):
        write((",\n" if number else "\n") + json.dumps(key, ensure_ascii=False))
    write("\n]}\n")
