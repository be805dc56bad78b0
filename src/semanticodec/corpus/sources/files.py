"""Sound files, each named by its path below the folder that the user gave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from semanticodec.audio.io import AudioSource
from semanticodec.corpus.item import Place, WorkItem

KIND = "file"


def items(path: Path, relative: Path) -> Iterator[WorkItem]:
    """Yield a sound file, called `folder/take` of `folder/take.wav` where no other is."""
    yield WorkItem(
        names=path_names(path, relative),
        source=str(path),
        place=Place(KIND, os.path.realpath(path)),
        num_bytes=path.stat().st_size,
    )


def path_names(path: Path, relative: Path) -> tuple[str, ...]:
    """Return what a file may be called: by its place, then with its suffix, then by its path."""
    near = Path(*(part for part in relative.parts if part not in ("..", relative.anchor)))
    whole = Path(os.path.realpath(path))
    far = whole.relative_to(whole.anchor)
    return near.with_suffix("").as_posix(), near.as_posix(), far.as_posix()


def opened(_: object, place: Place) -> AudioSource:
    """Return what `audio.io` reads."""
    return place.path
