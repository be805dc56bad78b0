"""libsndfile on files that fail: no error is lost, and a full disk is never missed.

libsndfile alone loses what an encoder still holds when the disk fills up at the end: it closes a
shortened FLAC without a word.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import soundfile


class KeptErrors:
    """A file for libsndfile, whose callbacks cannot raise: the first error is kept for later.

    Args:
        file: open for reading or writing.
    Attributes:
        error: what reading or writing raised; from then on no more bytes come or are taken.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None
        self.seek = file.seek
        self.tell = file.tell
        self.read = file.read

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` and return how many bytes came."""
        return self._tried(lambda: self._file.readinto(buffer))  # type: ignore[attr-defined]

    def write(self, data: bytes) -> int:
        """Write `data` through to the disk and return how many bytes were taken."""
        return self._tried(lambda: self._written(data))

    def _written(self, data: bytes) -> int:
        count = self._file.write(data)
        self._file.flush()
        return count

    def _tried(self, action: Callable[[], int]) -> int:
        if self.error is None:
            try:
                return action()
            except BaseException as error:  # such as Ctrl-C
                self.error = error
        return 0


@contextmanager
def open_sound_file(
    path: str | os.PathLike[str], sample_rate: int, channels: int, sound_format: str
) -> Iterator[soundfile.SoundFile]:
    """Open a 16-bit sound file for writing.

    Args:
        path: file to write, whatever its suffix.
        sample_rate: samples per second, in Hz.
        channels: number of channels.
        sound_format: a name of libsndfile's, such as "WAV", "FLAC" or "OGG".
    Raises:
        OSError: the file cannot be opened or written.
    """
    subtype = "PCM_16" if sound_format in ("WAV", "FLAC") else None
    with open(path, "w+b") as file:
        sink: Any = KeptErrors(file)  # all that libsndfile needs of a file
        try:
            with soundfile.SoundFile(
                sink,  # type: ignore[arg-type]
                "w",
                sample_rate,
                channels,
                subtype=subtype,
                format=sound_format,
            ) as sound:
                yield sound
        except (soundfile.LibsndfileError, AssertionError):  # by which soundfile says "too few"
            if sink.error is None:
                raise
        if sink.error is not None:
            raise sink.error
