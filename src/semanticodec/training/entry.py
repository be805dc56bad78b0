"""One entry of a list of training audio, and how long it is."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace

from semanticodec.audio.io import seekable_sound
from semanticodec.errors import AudioError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AudioEntry:
    """One recording: a file, or a member of a tar shard.

    Attributes:
        path: file that holds it.
        domain: kind of sound, such as "speech".
        is_domain_named: whether the data says so; otherwise it is the name of the file's folder.
        duration_s: length in seconds; 0 until the header has been read.
        offset: first byte inside of a shard.
        size: bytes inside of a shard; None for a file of its own.
    """

    path: str
    domain: str
    is_domain_named: bool = True
    duration_s: float = 0.0
    offset: int = 0
    size: int | None = None

    def at(self, start: int | None, position: float) -> tuple["AudioEntry", int | None, float]:
        """Return the recording at a place of this entry, and the place in it.

        Args:
            start: first sample at 16 kHz; None takes `position`.
            position: place in [0, 1).
        """
        return self, start, position

    def open(self) -> io.BufferedReader | io.BytesIO:
        """Return a seekable binary stream of the encoded recording."""
        if self.size is None:
            return open(self.path, "rb")
        with open(self.path, "rb") as shard:
            shard.seek(self.offset)
            return io.BytesIO(shard.read(self.size))


def measured(entry: AudioEntry) -> AudioEntry | None:
    """Return the recording with its duration; None for one that cannot be decoded."""
    if entry.duration_s > 0:
        return entry
    try:
        with entry.open() as stream, seekable_sound(stream) as sound:
            duration_s = sound.frames / sound.samplerate
    except (AudioError, OSError) as error:
        logger.warning("Left out %s: %s", entry.path, error)
        return None
    if duration_s <= 0:
        logger.warning("Left out %s: it holds no audio", entry.path)
        return None
    return replace(entry, duration_s=duration_s)
