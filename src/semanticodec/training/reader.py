"""Reads pieces of recordings at 16 kHz, and keeps count of the recordings that are broken."""

from __future__ import annotations

import logging
import threading

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from semanticodec.audio.io import load_audio, seekable_sound
from semanticodec.errors import AudioError, DataError
from semanticodec.token_format import SAMPLE_RATE
from semanticodec.training.entry import AudioEntry

# Training stops after so many recordings in a row that cannot be decoded, and where more than so
# many, and more than half of all, have failed.
MAX_FAILURES = 20

logger = logging.getLogger(__name__)


def read_recording(entry: AudioEntry) -> Float[np.ndarray, " S"]:
    """Decode a whole recording to 16 kHz mono.

    Raises:
        AudioError: damaged, or samples that are not finite.
    """
    try:
        with entry.open() as stream:
            return load_audio(stream, sample_rate=SAMPLE_RATE).numpy()
    except (AudioError, OSError) as error:
        raise _undecodable(entry, error) from error


def read_piece(
    entry: AudioEntry,
    num_samples: int,
    *,
    start: int | None = None,
    position: float = 0.0,
    lookahead: int = 0,
    speed: float = 1.0,
) -> Float[np.ndarray, " S"]:
    """Decode a piece of a recording, and no more of it.

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
    try:
        recording, start, position = entry.at(start, position)
        with recording.open() as stream, seekable_sound(stream) as sound:
            # What is played faster is as if it had been sampled at a higher rate, in whole Hz.
            rate = round(sound.samplerate * speed)
            if start is None:
                length = -(-num_samples * rate // SAMPLE_RATE)
                first = int(position * max(sound.frames - length + 1, 1))
            else:
                first = start * rate // SAMPLE_RATE
            sound.seek(min(first, sound.frames))
            needed = -(-(num_samples + lookahead) * rate // SAMPLE_RATE)
            samples = sound.read(needed, dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, AudioError, OSError) as error:
        raise _undecodable(entry, error) from error
    if not len(samples) or not np.isfinite(samples).all():
        raise AudioError(f"{entry.path} holds no samples there, or NaN or infinite ones")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    return samples[: num_samples + lookahead].astype(np.float32)


def _undecodable(entry: AudioEntry, error: Exception) -> AudioError:
    # Of libsndfile's errors its own words, without the file object that soundfile puts before.
    reason = str(getattr(error, "error_string", error))
    is_named = entry.path in reason
    return AudioError(reason if is_named else f"{entry.path} cannot be decoded: {reason}")


class BrokenRecordings:
    """Recordings that could not be decoded: each is named once, and too many end the training.

    Args:
        num_recordings: number of recordings in all.
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
