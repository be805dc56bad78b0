"""Reads pieces of recordings at 16 kHz, and keeps count of the recordings that are broken."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from semanticodec.audio.io import SAMPLE_RATE
from semanticodec.errors import AudioError, DataError
from semanticodec.training.sources import AudioEntry, has_length, read_recording

# Training stops after so many recordings in a row that cannot be decoded, and where more than so
# many, and more than half of all, have failed.
MAX_FAILURES = 20

logger = logging.getLogger(__name__)


def read_piece(
    entry: AudioEntry,
    num_samples: int,
    *,
    start: int | None = None,
    position: float = 0.0,
    lookahead: int = 0,
    speed: float = 1.0,
) -> Float[np.ndarray, " S"]:
    """Decode a piece of a recording, and no more of it where it can be searched.

    Args:
        entry: the recording.
        num_samples: length of the piece at 16 kHz.
        start: first sample at 16 kHz; None takes `position`.
        position: place in [0, 1) among the starts that leave a whole piece.
        lookahead: further samples after the piece.
        speed: play so many times as fast, the pitch rising with it.
    Returns:
        16 kHz mono samples, at most num_samples + lookahead; fewer where the recording ends.
    Raises:
        AudioError: damaged, not finite, or no samples there.
    """

    def cut(
        recorded_rate: int, num_recorded: int, read: Callable[[int, int], np.ndarray]
    ) -> Float[np.ndarray, " S"]:
        # What is played faster is as if it had been sampled at a higher rate, in whole Hz.
        rate = round(recorded_rate * speed)
        if start is None:
            length = -(-num_samples * rate // SAMPLE_RATE)
            first = int(position * max(num_recorded - length + 1, 1))
        else:
            first = start * rate // SAMPLE_RATE
        needed = -(-(num_samples + lookahead) * rate // SAMPLE_RATE)
        samples = read(min(first, num_recorded), needed)
        if not len(samples) or not np.isfinite(samples).all():
            raise AudioError(f"{entry.path} holds no samples there, or NaN or infinite ones")
        if rate != SAMPLE_RATE:
            samples = soxr.resample(samples, rate, SAMPLE_RATE)
        return samples[: num_samples + lookahead].astype(np.float32)

    try:
        with entry.open() as stream, soundfile.SoundFile(stream) as recording:
            if has_length(recording.frames):

                def read(first: int, count: int) -> np.ndarray:
                    recording.seek(first)
                    return recording.read(count, dtype="float32", always_2d=True).mean(axis=1)

                return cut(recording.samplerate, recording.frames, read)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{entry.path} cannot be decoded: {error}") from error
    # Without a length there is no way to a place inside, other than from the start.
    whole = read_recording(entry)
    return cut(SAMPLE_RATE, len(whole), lambda first, count: whole[first : first + count])


class BrokenRecordings:
    """Recordings that could not be decoded: each is named once, and too many end the training.

    Args:
        num_recordings: how many there are in all.
    """

    def __init__(self, num_recordings: int) -> None:
        self._limit = max(MAX_FAILURES, num_recordings // 2)
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, entry: AudioEntry, error: Exception) -> None:
        """Count a recording, once however often it is drawn.

        Raises:
            DataError: too many have failed.
        """
        with self._lock:
            name = f"{entry.path}:{entry.offset}"
            if name in self._names:
                return
            self._names.add(name)
        logger.warning("Skipped a broken recording (%d so far): %s", len(self), error)
        if len(self) > self._limit:
            raise DataError(
                f"{len(self)} recordings could not be decoded, the last one {entry.path}: "
                f"{error}. Check the training data, or leave these recordings out."
            )
