"""Draws windows of 10.24 s from recordings, cut and padded as the codec's encoder sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.errors import AudioError, DataError
from semanticodec.token_format import WINDOW_SAMPLES
from semanticodec.training.data import CropConfig
from semanticodec.training.entry import AudioEntry
from semanticodec.training.reader import MAX_FAILURES, BrokenRecordings, read_piece
from semanticodec.training.shards import ShardEntry
from semanticodec.training.sources import domain_weights, domains_of, find_entries

READ_SAMPLES = WINDOW_SAMPLES + LOOKAHEAD_SAMPLES
NORMAL_SPEED = (1.0, 1.0)
GOLDEN_RATIO = 0.6180339887498949


class WindowSource:
    """Draws windows from recordings, cut and padded as the codec's encoder sees them.

    A point in [0, 1) stands for a place in the audio: all recordings one after the other, each
    domain stretched to its weight. So evenly spaced points cover the audio evenly.

    Args:
        entries: the recordings.
        config: domain weights and gain; its length of crops does not matter here.
        joined_share: share of the windows in which the room after a short recording is filled
            with those that follow in the list, instead of zeros.
        speeds: lowest and highest factor of the playing speed, pitch included.
    """

    def __init__(
        self,
        entries: list[AudioEntry],
        config: CropConfig,
        joined_share: float = 0.0,
        speeds: tuple[float, float] = NORMAL_SPEED,
    ) -> None:
        self.entries = entries
        self.config = config
        self.joined_share = joined_share
        self.speeds = speeds
        self._broken = BrokenRecordings(len(entries))
        self._ends = np.cumsum(self._weights())
        self._ends /= self._ends[-1]

    @classmethod
    def find(cls, sources: tuple[Path, ...], config: CropConfig) -> WindowSource:
        """List the recordings of folders, manifests and shards and draw from them."""
        return cls(find_entries(sources), config)

    def varied(
        self, joined_share: float, speeds: tuple[float, float] = NORMAL_SPEED
    ) -> WindowSource:
        """Return the same source with another share of joined windows, and other speeds."""
        return WindowSource(self.entries, self.config, joined_share, speeds)

    @property
    def duration_s(self) -> float:
        """Length of all recordings together, in seconds."""
        return sum(entry.duration_s for entry in self.entries)

    def _weights(self) -> Float[np.ndarray, " N"]:
        durations = np.array([entry.duration_s for entry in self.entries])
        if not self.config.domain_weights:
            return durations
        weights = domain_weights(self.entries, self.config.domain_weights)
        scaled = np.zeros_like(durations)
        for name, rows in domains_of(self.entries).items():
            scaled[rows] = weights[name] * durations[rows] / durations[rows].sum()
        return scaled

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return {"wav": 164 080 samples with look-ahead, "num_samples": how many are real}."""
        return self.window(float(rng.random()), rng)

    def window(self, point: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the window at a point in [0, 1); `rng` decides gain, joining and speed."""
        is_joined = rng.random() < self.joined_share
        low, high = self.config.gain_db
        gain = np.float32(10.0 ** (rng.uniform(low, high) / 20.0))
        speed = 1.0 if self.speeds == NORMAL_SPEED else float(rng.uniform(*self.speeds))
        row = min(int(np.searchsorted(self._ends, point, side="right")), len(self.entries) - 1)
        start_of_row = self._ends[row - 1] if row else 0.0
        position = (point - start_of_row) / max(self._ends[row] - start_of_row, 1e-12)
        for _ in range(MAX_FAILURES):
            try:
                samples = read_window(self.entries[row], position=float(position), speed=speed)
                if is_joined:
                    samples = self._joined(row, float(position), samples, speed)
            except AudioError as error:
                self._broken.add(self.entries[row], error)
                row = (row + 1) % len(self.entries)
                continue
            wav, num_samples = padded_window(np.clip(samples * gain, -1.0, 1.0))
            return {"wav": wav, "num_samples": np.array(num_samples)}
        raise DataError(
            f"{MAX_FAILURES} recordings in a row could not be decoded; check the training data."
        )

    def _joined(
        self, row: int, position: float, samples: Float[np.ndarray, " S"], speed: float
    ) -> Float[np.ndarray, " S2"]:
        """Append the recordings that follow in the list, of the same domain, to a short one.

        Of shards that follow, pieces at places that are spread evenly.
        """
        domain = self.entries[row].domain
        num_failures = 0
        while len(samples) < READ_SAMPLES and num_failures < len(self.entries):
            row = (row + 1) % len(self.entries)
            if self.entries[row].domain != domain:
                continue
            position = (position + GOLDEN_RATIO) % 1.0
            place = position if isinstance(self.entries[row], ShardEntry) else 0.0
            try:
                piece = read_window(self.entries[row], position=place, speed=speed)
                samples = np.concatenate([samples, piece])
                num_failures = 0
            except AudioError as error:
                self._broken.add(self.entries[row], error)
                num_failures += 1
        return samples[:READ_SAMPLES]


def read_window(
    entry: AudioEntry, *, start: int | None = None, position: float = 0.0, speed: float = 1.0
) -> Float[np.ndarray, " S"]:
    """Decode a window and its look-ahead: `read_piece` of 10.24 s, at most 164 080 samples."""
    return read_piece(
        entry,
        WINDOW_SAMPLES,
        start=start,
        position=position,
        lookahead=LOOKAHEAD_SAMPLES,
        speed=speed,
    )


def padded_window(
    samples: Float[np.ndarray, " N"],
) -> tuple[Float[np.ndarray, " S"], int]:
    """Return 164 080 samples, zeros at the end, and how many of the window are real."""
    wav = np.zeros(READ_SAMPLES, dtype=np.float32)
    wav[: len(samples)] = samples
    return wav, min(len(samples), WINDOW_SAMPLES)
