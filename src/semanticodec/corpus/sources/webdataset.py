"""WebDataset tars: members of one key are one sample; its sound is read where it lies.

key.flac    the recording
key.json    its columns, as far as they are single values
key.txt     the column `text`
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from semanticodec.audio.io import AudioSource
from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.record import Column
from semanticodec.corpus.sources.manifest import plain
from semanticodec.errors import DataError
from semanticodec.listing import AUDIO_SUFFIXES
from semanticodec.reading import Pieces

KIND = "tar"
LARGEST_TEXT = 1 << 20
BUFFER_BYTES = 1 << 16


def items(path: Path, relative: Path) -> Iterator[WorkItem]:
    """Yield the sounds of a tar; it is read from header to header.

    Raises:
        DataError: not a tar, or a compressed one, of which no member can be read alone.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            sample: dict[str, tarfile.TarInfo] = {}
            key = None
            for member in tar:
                if not member.isfile():
                    continue
                member_key, ending = _split(member.name)
                if member_key != key:
                    yield from _sample_items(path, relative, key, sample, tar)
                    key, sample = member_key, {}
                sample[ending] = member
                tar.members = []  # type: ignore[attr-defined]  # of a large tar they would pile up
            yield from _sample_items(path, relative, key, sample, tar)
    except tarfile.TarError as error:
        raise DataError(
            f"{path} is not a readable tar ({error}); unpack it if it is compressed"
        ) from error


def _split(name: str) -> tuple[str, str]:
    """Return a member's key and ending: WebDataset cuts at the first dot of the file's name."""
    place = PurePosixPath(name)
    stem, dot, ending = place.name.partition(".")
    return (place.parent / stem).as_posix(), dot + ending.lower()


def _sample_items(
    path: Path,
    relative: Path,
    key: str | None,
    sample: dict[str, tarfile.TarInfo],
    tar: tarfile.TarFile,
) -> Iterator[WorkItem]:
    sounds = {ending: member for ending, member in sample.items() if ending in AUDIO_SUFFIXES}
    if key is None or not sounds:
        return
    columns = _columns(sample, tar)
    shard = relative.with_suffix("").as_posix().lstrip("/")
    for ending, member in sounds.items():
        yield WorkItem(
            names=(key, f"{key}{ending}", f"{shard}/{key}", f"{shard}/{key}{ending}"),
            source=f"{path}::{member.name}",
            place=Place(KIND, os.path.realpath(path), (member.offset_data, member.size)),
            columns=columns,
            num_bytes=member.size,
        )


def _columns(sample: dict[str, tarfile.TarInfo], tar: tarfile.TarFile) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for ending in (".json", ".txt"):
        member = sample.get(ending)
        file = tar.extractfile(member) if member and member.size <= LARGEST_TEXT else None
        if file is None:
            continue
        text = file.read().decode(errors="replace")
        if ending == ".txt":
            columns.setdefault("text", text.strip())
            continue
        try:
            values = json.loads(text)
        except ValueError:
            continue
        if isinstance(values, dict):
            columns.update({name: plain(value) for name, value in values.items()})
    return columns


class _Member(Pieces):
    """The bytes of a member, which close the tar with them."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(file, [range(start, start + size)])
        self._tar = file

    def close(self) -> None:
        """Close the tar too."""
        self._tar.close()
        super().close()


def opened(_: object, place: Place) -> AudioSource:
    """Return a member as a file; closing it closes the tar."""
    start, size = (int(part) for part in place.parts)
    member = _Member(open(place.path, "rb"), start, size)  # noqa: SIM115  # closed with the member
    return cast(BinaryIO, io.BufferedReader(member, BUFFER_BYTES))
