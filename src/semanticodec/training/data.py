"""Draws training batches; every item is a pure function of (seed, step, item index).

entries -> CropSource.draw(rng) -> one crop    (domain, file by duration, start, gain)
(seed, step, item) -> rng, torch.Generator     (no iterator state: resume needs only the step)
Loader: rank r of W holds items r*n ... (r+1)*n - 1 of the n*W items of a step
"""

from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.token_format import SAMPLE_RATE
from semanticodec.training.entry import AudioEntry
from semanticodec.training.reader import (
    MAX_FAILURES,
    BrokenRecordings,
    read_piece,
    read_recording,
)
from semanticodec.training.shards import ShardEntry
from semanticodec.training.sources import domain_weights, domains_of, find_entries

INT16_SCALE = 32768.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The input of a stage for one step.

    Attributes:
        wav: crops of audio.
        generators: one CPU generator per item: the only source of randomness of a stage (through
            `randn_per_item` and `rand_per_item`), so that results do not depend on how items are
            spread over processes.
        step: number of the step.
        extra: tensors of a source other than audio crops, by name.
    """

    wav: Float[Tensor, "B S"]
    generators: list[torch.Generator]
    step: int
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def split(self, parts: int) -> list["Batch"]:
        """Cut into equal micro-batches in item order (for gradient accumulation)."""
        size = len(self.generators) // parts
        assert size * parts == len(self.generators), (parts, len(self.generators))
        slices = [slice(start, start + size) for start in range(0, size * parts, size)]
        return [
            replace(
                self,
                wav=self.wav[part],
                generators=self.generators[part],
                extra={name: tensor[part] for name, tensor in self.extra.items()},
            )
            for part in slices
        ]

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to `device`; the generators stay on the CPU."""
        extra = {name: tensor.to(device) for name, tensor in self.extra.items()}
        return replace(self, wav=self.wav.to(device, non_blocking=True), extra=extra)


def randn_per_item(
    generators: list[torch.Generator], shape: tuple[int, ...], device: torch.device | str = "cpu"
) -> Float[Tensor, "B ..."]:
    """Draw standard normal noise of `shape` for every item from its own generator."""
    draws = [torch.randn(shape, generator=generator) for generator in generators]
    return torch.stack(draws).to(device)


def rand_per_item(
    generators: list[torch.Generator], shape: tuple[int, ...], device: torch.device | str = "cpu"
) -> Float[Tensor, "B ..."]:
    """Draw uniform numbers in [0, 1) of `shape` for every item from its own generator."""
    draws = [torch.rand(shape, generator=generator) for generator in generators]
    return torch.stack(draws).to(device)


@runtime_checkable
class Source(Protocol):
    """Anything that items can be drawn from: audio crops, cached features, ..."""

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return one item's arrays, the waveform under "wav" if there is one.

        Must be thread-safe and depend on nothing but `rng`.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """How crops are drawn.

    Attributes:
        crop_samples: length of a crop at 16 kHz; shorter recordings are padded with zeros.
        domain_weights: pairs (domain, weight); empty draws by duration over all domains.
        gain_db: lowest and highest random gain; equal values draw nothing.
        cache_bytes: memory for decoded audio (16 bits a sample), filled in listing order.
    """

    crop_samples: int = 163840
    domain_weights: tuple[tuple[str, float], ...] = ()
    gain_db: tuple[float, float] = (0.0, 0.0)
    cache_bytes: int = 1 << 30


class CropSource:
    """Random crops of recordings, each recording drawn in proportion to its duration."""

    def __init__(self, entries: list[AudioEntry], config: CropConfig):
        self.entries = entries
        self.config = config
        self._domains = domains_of(entries)
        weights = domain_weights(entries, config.domain_weights)
        self._domain_cdf = _cumulative(np.array([weights[name] for name in self._domains]))
        durations = np.array([entry.duration_s for entry in entries])
        self._file_cdfs = [_cumulative(durations[rows]) for rows in self._domains.values()]
        # Which files are cached is fixed here, not by arrival, so that a crop never depends on
        # what was drawn before (a partial read of an MP3 may differ in its last bits).
        is_shard = np.array([isinstance(entry, ShardEntry) for entry in entries])
        self._is_cached = ~is_shard & (np.cumsum(durations) * SAMPLE_RATE * 2 <= config.cache_bytes)
        self._cache: dict[int, np.ndarray] = {}
        self._broken = BrokenRecordings(len(entries))

    @classmethod
    def find(cls, sources: tuple[Path, ...], config: CropConfig) -> "CropSource":
        """List the recordings of folders, manifests and shards and draw from them."""
        return cls(find_entries(sources), config)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return {"wav": one float32 crop in [-1, 1]}; a broken recording is drawn again.

        Raises:
            DataError: too many recordings are broken.
        """
        for _ in range(MAX_FAILURES):
            # Four uniform numbers, always, so that settings do not shift one another's draws.
            domain_point, file_point, position, gain_point = rng.random(4)
            row = self._row(domain_point, file_point)
            try:
                wav = self._crop(row, float(position))
            except AudioError as error:
                self._broken.add(self.entries[row], error)
                continue
            low, high = self.config.gain_db
            if high > low:
                gain = 10.0 ** ((low + (high - low) * gain_point) / 20.0)
                wav = np.clip(wav * np.float32(gain), -1.0, 1.0)
            return {"wav": wav}
        raise DataError(
            f"{MAX_FAILURES} recordings in a row could not be decoded; check the training data."
        )

    def _row(self, domain_point: float, file_point: float) -> int:
        domain = int(np.searchsorted(self._domain_cdf, domain_point, side="right"))
        rows = list(self._domains.values())[domain]
        return int(rows[np.searchsorted(self._file_cdfs[domain], file_point, side="right")])

    def _crop(self, row: int, position: float) -> Float[np.ndarray, " S"]:
        """Cut at `position` in [0, 1) of the possible starts, pad to the crop's length."""
        length = self.config.crop_samples
        if self._is_cached[row]:
            samples = self._cached(row)
            start = int(position * max(len(samples) - length + 1, 1))
            crop = samples[start : start + length].astype(np.float32) / np.float32(INT16_SCALE)
        else:
            crop = read_piece(self.entries[row], length, position=position).clip(-1.0, 1.0)
        padded = np.zeros(length, dtype=np.float32)
        padded[: len(crop)] = crop
        return padded

    def _cached(self, row: int) -> Int16[np.ndarray, " S"]:
        if row not in self._cache:
            # Two threads may decode the same file at once; both get the same samples.
            scaled = np.round(read_recording(self.entries[row]) * INT16_SCALE)
            self._cache[row] = np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
        return self._cache[row]


def _cumulative(weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    if not (total > 0 and (weights >= 0).all()):
        raise DataError(f"Weights {weights.tolist()} do not allow a draw; give positive ones.")
    cumulative = np.cumsum(weights / total)
    # Rounding must not leave room above the last entry with weight.
    cumulative[np.flatnonzero(weights)[-1] :] = 1.0
    return cumulative


def item_seed(seed: int, step: int, item: int) -> np.random.SeedSequence:
    """Return the root of all random numbers of one item of one step."""
    return np.random.SeedSequence([seed, step, item])


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Which part of the global batch this process draws: index of world_size."""

    index: int = 0
    world_size: int = 1


def draw_batch(source: Source, seed: int, step: int, batch_size: int, rank: Rank) -> Batch:
    """Draw the `batch_size` items of one process for one step."""
    first = rank.index * batch_size
    items: list[dict[str, np.ndarray]] = []
    generators: list[torch.Generator] = []
    for item in range(first, first + batch_size):
        draw_seed, stage_seed = item_seed(seed, step, item).spawn(2)
        items.append(source.draw(np.random.default_rng(draw_seed)))
        # int64 seeds only: torch refuses larger ones.
        state = int(stage_seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
        generators.append(torch.Generator().manual_seed(state))
    tensors = {
        name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]
    }
    wav = tensors.pop("wav", torch.zeros(batch_size, 0))
    return Batch(wav=wav, generators=generators, step=step, extra=tensors)


class Loader:
    """Iterates over batches from a given step on, drawn ahead by background threads."""

    def __init__(
        self, source: Source, *, seed: int, batch_size: int, rank: Rank, num_threads: int = 2
    ):
        if batch_size < 1:
            raise ConfigError(f"A batch size of {batch_size} is not possible; give 1 or more.")
        self.source = source
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.num_threads = num_threads

    def batches(self, first_step: int) -> Generator[Batch, None, None]:
        """Yield the batches of steps first_step, first_step + 1, ... without end."""
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="loader")
        pending: deque[Future[Batch]] = deque()
        step = first_step
        try:
            while True:
                while len(pending) < self.num_threads + 1:
                    drawn = (self.source, self.seed, step, self.batch_size, self.rank)
                    pending.append(pool.submit(draw_batch, *drawn))
                    step += 1
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
