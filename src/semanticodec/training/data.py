"""Draws training batches; every item is a pure function of (seed, step, item index).

entries -> CropSource.draw(rng) -> one crop    (domain, file by duration, start, gain)
(seed, step, item) -> rng, torch.Generator     (no iterator state: resume needs only the step)
Loader: rank r of W holds items r*n ... (r+1)*n - 1 of the n*W items of a step
"""

import logging
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.io import load_audio, seekable_sound
from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.training.sources import AudioEntry, domains_of, find_entries

SAMPLE_RATE = 16000
INT16_SCALE = 32768.0
MAX_DRAWS = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a stage gets for one step.

    `generators` holds one CPU generator per item: the only source of randomness of a stage
    (through `randn_per_item` and `rand_per_item`), so that results do not depend on how items
    are spread over processes. `extra` holds what a source other than audio crops gives.
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
            Batch(
                wav=self.wav[part],
                generators=self.generators[part],
                step=self.step,
                extra={name: tensor[part] for name, tensor in self.extra.items()},
            )
            for part in slices
        ]

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to `device`; the generators stay on the CPU."""
        return Batch(
            wav=self.wav.to(device, non_blocking=True),
            generators=self.generators,
            step=self.step,
            extra={name: tensor.to(device) for name, tensor in self.extra.items()},
        )


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
        crop_samples: Length of a crop at 16 kHz; shorter recordings are padded with zeros.
        domain_weights: Pairs (domain, weight); empty draws by duration over all domains.
        gain_db: Lowest and highest random gain; equal values draw nothing.
        cache_bytes: Memory for decoded audio (16 bits a sample), filled in listing order.
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
        self._domain_cdf = _cumulative(self._domain_probabilities())
        durations = np.array([entry.duration_s for entry in entries])
        self._file_cdfs = [_cumulative(durations[rows]) for rows in self._domains.values()]
        # Which files are cached is fixed here, not by arrival, so that a crop never depends on
        # what was drawn before (a partial read of an MP3 may differ in its last bits).
        self._is_cached = np.cumsum(durations) * SAMPLE_RATE * 2 <= config.cache_bytes
        self._cache: dict[int, np.ndarray] = {}
        self._complaints: set[str] = set()

    @classmethod
    def find(cls, sources: tuple[Path, ...], config: CropConfig) -> "CropSource":
        """List the recordings of folders, manifests and shards and draw from them."""
        return cls(find_entries(sources), config)

    def _domain_probabilities(self) -> np.ndarray:
        if not self.config.domain_weights:
            return np.array(
                [
                    sum(self.entries[row].duration_s for row in rows)
                    for rows in self._domains.values()
                ]
            )
        weights = dict(self.config.domain_weights)
        if set(weights) - set(self._domains):
            raise DataError(
                f"The recipe weighs the domains {sorted(weights)}, the data has "
                f"{sorted(self._domains)}. Name the folders (or the manifest's `domain`) so."
            )
        return np.array([weights.get(name, 0.0) for name in self._domains])

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return {"wav": one float32 crop in [-1, 1]}; a damaged recording is drawn again."""
        for _ in range(MAX_DRAWS):
            # Four uniform numbers, always, so that settings do not shift one another's draws.
            choice = rng.random(4)
            try:
                return {"wav": self._draw(choice)}
            except (AudioError, soundfile.SoundFileError, OSError) as error:
                if str(error) not in self._complaints:
                    self._complaints.add(str(error))
                    logger.warning("Another recording is drawn instead: %s", error)
        raise DataError(
            f"{MAX_DRAWS} recordings in a row could not be decoded; check the training data."
        )

    def _draw(self, choice: np.ndarray) -> np.ndarray:
        domain = int(np.searchsorted(self._domain_cdf, choice[0], side="right"))
        rows = list(self._domains.values())[domain]
        row = int(rows[np.searchsorted(self._file_cdfs[domain], choice[1], side="right")])
        wav = self._crop(row, float(choice[2]))
        low, high = self.config.gain_db
        if high > low:
            gain = 10.0 ** ((low + (high - low) * choice[3]) / 20.0)
            wav = np.clip(wav * np.float32(gain), -1.0, 1.0)
        return wav

    def _crop(self, row: int, position: float) -> np.ndarray:
        """Cut at `position` in [0, 1) of the possible starts, pad to the crop's length."""
        length = self.config.crop_samples
        if self._is_cached[row]:
            samples = self._cached(row)
            start = int(position * max(len(samples) - length + 1, 1))
            crop = samples[start : start + length].astype(np.float32) / np.float32(INT16_SCALE)
        else:
            crop = _read_crop(self.entries[row], position, length)
        padded = np.zeros(length, dtype=np.float32)
        padded[: len(crop)] = crop
        return padded

    def _cached(self, row: int) -> np.ndarray:
        if row not in self._cache:
            entry = self.entries[row]
            if entry.size is None:
                wav = load_audio(entry.path, sample_rate=SAMPLE_RATE)
            else:
                with entry.open() as stream:
                    wav = load_audio(stream.read(), sample_rate=SAMPLE_RATE)
            # Two threads may decode the same file at once; both get the same samples.
            scaled = np.round(wav.numpy() * INT16_SCALE)
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


def _read_crop(entry: AudioEntry, position: float, length: int) -> np.ndarray:
    """Decode only the crop from a long recording, at most `length` samples at 16 kHz."""
    with entry.open() as stream, seekable_sound(stream) as recording:
        rate = recording.samplerate
        needed = -(-length * rate // SAMPLE_RATE)
        recording.seek(int(position * max(recording.frames - needed + 1, 1)))
        samples = recording.read(needed, dtype="float32", always_2d=True).mean(axis=1)
    if not np.isfinite(samples).all():
        raise AudioError(f"{entry.path} holds NaN or infinite samples")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    return np.clip(samples[:length], -1.0, 1.0).astype(np.float32)


def item_seed(seed: int, step: int, item: int) -> np.random.SeedSequence:
    """Return the root of all random numbers of one item of one step."""
    return np.random.SeedSequence([seed, step, item])


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Which part of the global batch this process draws: rank of world_size."""

    rank: int = 0
    world_size: int = 1


def draw_batch(source: Source, seed: int, step: int, batch_size: int, shard: Shard) -> Batch:
    """Draw the `batch_size` items of one process for one step."""
    first = shard.rank * batch_size
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
        self, source: Source, *, seed: int, batch_size: int, shard: Shard, num_threads: int = 2
    ):
        if batch_size < 1:
            raise ConfigError(f"A batch size of {batch_size} is not possible; give 1 or more.")
        self.source = source
        self.seed = seed
        self.batch_size = batch_size
        self.shard = shard
        self.num_threads = num_threads

    def batches(self, first_step: int) -> Generator[Batch, None, None]:
        """Yield the batches of steps first_step, first_step + 1, ... without end."""
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="loader")
        pending: deque[Future[Batch]] = deque()
        step = first_step
        try:
            while True:
                while len(pending) < self.num_threads + 1:
                    pending.append(
                        pool.submit(
                            draw_batch, self.source, self.seed, step, self.batch_size, self.shard
                        )
                    )
                    step += 1
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
