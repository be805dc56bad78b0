"""Sound files written so that a full disk is never missed.

libsndfile alone loses what an encoder still holds when the disk fills up at the end: it closes a
shortened FLAC without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import soundfile


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
        sink: Any = _Sink(file)  # all that libsndfile needs of a file
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
        except soundfile.LibsndfileError:
            if sink.error is None:
                raise
        if sink.error is not None:
            raise sink.error


class _Sink:
    """A file for libsndfile, whose callbacks cannot raise: the first error is kept for later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek = file.seek
        self.tell = file.tell
        self.read = file.read

    def write(self, data: bytes) -> int:
        """Write `data` and return how many bytes were taken: none after an error."""
        if self.error is None:
            try:
                written = self._file.write(data)
                self._file.flush()
                return written
            except OSError as error:
                self.error = error
        return 0
