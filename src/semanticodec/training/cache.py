"""What the frozen boxes give for a fixed set of windows, computed once and kept on disk.

recordings -> WindowSource -> windows of 10.24 s, cut and padded as the codec's encoder does
    -> AudioMAE features, VAE latent means -> shards of memory-mapped arrays -> CachedSource

CACHE/index.json                    what the windows were made from
CACHE/shard_00000/NAME.npy          one row per window; a shard appears when it is complete
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from semanticodec.audio.fbank import (
    LOOKAHEAD_SAMPLES,
    WINDOW_SAMPLES,
    Fbank,
    normalize_fbank,
    window_fbank,
)
from semanticodec.audio.io import seekable_sound
from semanticodec.encoder.encoder import Encoder
from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.layers.stacking import BLOCKS, NUM_BANDS, num_positions, stack_patches
from semanticodec.training import distributed
from semanticodec.training.data import SAMPLE_RATE, CropConfig
from semanticodec.training.sources import AudioEntry, domains_of, find_entries
from semanticodec.training.state import write_json

READ_SAMPLES = WINDOW_SAMPLES + LOOKAHEAD_SAMPLES
LOOKAHEAD_FRAMES = 2
SHARD_WINDOWS = 32
MAX_SKIPPED = 20
INDEX_NAME = "index.json"
NORMAL_SPEED = (1.0, 1.0)

logger = logging.getLogger(__name__)


class WindowFeatures(NamedTuple):
    """AudioMAE's side of a batch of windows.

    Attributes:
        features: stacked, continuous.
        num_valid: positions before the last active frame; the encoder marks later ones.
        num_positions: positions that the codes of the window have; the decoder sees no others.
    """

    features: Float[Tensor, "B L D"]
    num_valid: Int[Tensor, " B"]
    num_positions: Int[Tensor, " B"]


@torch.no_grad()
def window_features(
    encoder: Encoder,
    fbank: Fbank,
    wav: Float[Tensor, "B S"],
    num_samples: Int[Tensor, " B"],
) -> WindowFeatures:
    """Return what `SemantiCodec.encode` computes before its quantizers, in float32.

    That is, with windows padded to 10.24 s (`CodecConfig.pads_windows`).

    Args:
        encoder: only AudioMAE and the stacking are used.
        fbank: the filter bank.
        wav: windows with their look-ahead, S = 164 080, zeros after `num_samples`.
        num_samples: samples of the recording in the window, the look-ahead not counted.
    """
    with torch.autocast(wav.device.type, enabled=False):
        rows = window_fbank(fbank, wav)
        # A window that its recording does not fill has no look-ahead: rows that are raw 0.
        is_short = (num_samples < WINDOW_SAMPLES).view(-1, 1, 1)
        is_last = torch.arange(rows.shape[1], device=rows.device) >= (
            rows.shape[1] - LOOKAHEAD_FRAMES
        )
        empty = normalize_fbank(torch.zeros((), device=rows.device))
        rows = torch.where(is_short & is_last.view(1, -1, 1), empty, rows)
        stack_factor = encoder.config.stack_factor
        kept = [num_positions(int(count), stack_factor) for count in num_samples]
        return WindowFeatures(
            features=encoder.features(rows),
            num_valid=encoder.valid_positions(rows),
            num_positions=torch.tensor(kept, device=wav.device),
        )


def stacked_features(
    patches: WindowFeatures, stack_factor: int, num_bands: int = NUM_BANDS
) -> WindowFeatures:
    """Return what `window_features` gives for another stack factor, from its result for 1.

    Args:
        patches: features of single patches.
        stack_factor: K, 1, 2 or 4.
        num_bands: patches along the frequency axis.
    """
    times, bands = BLOCKS[stack_factor]
    # Rounding up twice is rounding up once, by the product of the divisors.
    num_columns = -(-patches.num_positions // (num_bands * times))
    return WindowFeatures(
        features=stack_patches(patches.features, stack_factor, num_bands),
        num_valid=-(-patches.num_valid // stack_factor),
        num_positions=num_columns * (num_bands // bands),
    )


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

    def _weights(self) -> Float[np.ndarray, " N"]:
        durations = np.array([entry.duration_s for entry in self.entries])
        if not self.config.domain_weights:
            return durations
        domains = domains_of(self.entries)
        weights = dict(self.config.domain_weights)
        if set(weights) - set(domains) or not any(weights.values()):
            raise DataError(
                f"The recipe weighs the domains {weights}, the data has {sorted(domains)}. "
                "Name the folders (or the manifest's `domain`) so."
            )
        scaled = np.zeros_like(durations)
        for name, rows in domains.items():
            scaled[rows] = weights.get(name, 0.0) * durations[rows] / durations[rows].sum()
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
        for _ in range(MAX_SKIPPED):
            try:
                samples = self._samples(row, float(position), is_joined, speed)
            except AudioError as error:
                logger.warning("Left out a recording: %s", error)
                row = (row + 1) % len(self.entries)
                continue
            wav, num_samples = padded_window(np.clip(samples * gain, -1.0, 1.0))
            return {"wav": wav, "num_samples": np.array(num_samples)}
        raise DataError(
            f"{MAX_SKIPPED} recordings in a row could not be decoded; check the training data."
        )

    def _samples(
        self, row: int, position: float, is_joined: bool, speed: float
    ) -> Float[np.ndarray, " S"]:
        samples = read_samples(self.entries[row], position=position, speed=speed)
        domain = self.entries[row].domain
        while is_joined and len(samples) < READ_SAMPLES:
            row = (row + 1) % len(self.entries)
            if self.entries[row].domain == domain:
                added = read_samples(self.entries[row], speed=speed)
                samples = np.concatenate([samples, added])
        return samples[:READ_SAMPLES]


def read_samples(
    entry: AudioEntry, *, start: int | None = None, position: float = 0.0, speed: float = 1.0
) -> Float[np.ndarray, " S"]:
    """Decode a window and its look-ahead from a recording.

    Args:
        entry: the recording.
        start: first sample at 16 kHz; None takes `position`.
        position: place in [0, 1) among the starts that leave a whole window.
        speed: play so many times as fast, the pitch rising with it.
    Returns:
        16 kHz mono samples, at most 164 080; fewer where the recording ends.
    Raises:
        AudioError: Damaged, not finite, or no samples there.
    """
    try:
        with entry.open() as stream, seekable_sound(stream) as recording:
            # What is played faster is as if it had been sampled at a higher rate, in whole Hz.
            rate = round(recording.samplerate * speed)
            if start is None:
                window = -(-WINDOW_SAMPLES * rate // SAMPLE_RATE)
                first = int(position * max(recording.frames - window + 1, 1))
            else:
                first = start * rate // SAMPLE_RATE
            recording.seek(min(first, recording.frames))
            needed = -(-READ_SAMPLES * rate // SAMPLE_RATE)
            samples = recording.read(needed, dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{entry.path} cannot be decoded: {error}") from error
    if not len(samples) or not np.isfinite(samples).all():
        raise AudioError(f"{entry.path} holds no samples there, or NaN or infinite ones")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    return samples[:READ_SAMPLES].astype(np.float32)


def padded_window(
    samples: Float[np.ndarray, " N"],
) -> tuple[Float[np.ndarray, " S"], int]:
    """Return 164 080 samples, zeros at the end, and how many of the window are real."""
    wav = np.zeros(READ_SAMPLES, dtype=np.float32)
    wav[: len(samples)] = samples
    return wav, min(len(samples), WINDOW_SAMPLES)


# compute(wav B 164080, num_samples B) -> tensors by name, one row per window
Compute = Callable[[Tensor, Tensor], Mapping[str, Tensor]]


class CachedSource:
    """Draws from the windows of a finished cache.

    Args:
        folder: the cache.
        num_windows: as the cache was built with.
    """

    def __init__(self, folder: Path, num_windows: int) -> None:
        self._num_windows = num_windows
        # Opened as memory maps: the operating system keeps what is used often.
        self._shards = [
            {path.stem: np.load(path, mmap_mode="r") for path in sorted(shard.glob("*.npy"))}
            for shard in (_shard_folder(folder, index) for index in range(num_shards(num_windows)))
        ]

    def __len__(self) -> int:
        return self._num_windows

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the arrays of a random window."""
        return self.window(int(rng.integers(self._num_windows)))

    def window(self, index: int) -> dict[str, np.ndarray]:
        """Return the arrays of one window."""
        shard, row = divmod(index, SHARD_WINDOWS)
        return {name: np.array(rows[row]) for name, rows in self._shards[shard].items()}


def num_shards(num_windows: int) -> int:
    """Return how many shards hold that many windows."""
    return -(-num_windows // SHARD_WINDOWS)


def _shard_folder(folder: Path, index: int) -> Path:
    return folder / f"shard_{index:05d}"


def build_cache(
    folder: Path,
    source: WindowSource,
    compute: Compute,
    *,
    num_windows: int,
    seed: int,
    batch_size: int,
    device: torch.device,
    origin: Mapping[str, Any],
) -> CachedSource:
    """Compute what is still missing of a cache, and open it.

    Window i lies at a random point of the i-th of `num_windows` equal parts of the audio, so
    the windows cover it evenly. Several processes share the work.

    Args:
        folder: the cache's own; all processes must see it.
        source: where the windows come from.
        compute: the frozen boxes.
        num_windows: 1 or more.
        seed: of places, gains and joins.
        batch_size: windows per call of `compute`.
        device: where `compute` works.
        origin: JSON values that name boxes and settings; a cache of another origin is refused.
    Raises:
        ConfigError: The folder holds a cache of another origin.
    """
    description = {
        "num_windows": num_windows,
        "seed": seed,
        "recordings": _digest_of(source),
        **origin,
    }
    _claim(folder, description)
    shards = range(num_shards(num_windows))
    missing = [shard for shard in shards if not _shard_folder(folder, shard).exists()]
    distributed.barrier()
    rank = dist.get_rank() if distributed.world_size() > 1 else 0
    own = missing[rank :: distributed.world_size()]
    # disable=None: no bar where stderr is no terminal.
    with tqdm(total=len(own) * SHARD_WINDOWS, desc="cache", unit="window", disable=None) as bar:
        for shard in own:
            windows = range(shard * SHARD_WINDOWS, min((shard + 1) * SHARD_WINDOWS, num_windows))
            parts: dict[str, list[np.ndarray]] = {}
            for first in range(windows.start, windows.stop, batch_size):
                indices = range(first, min(first + batch_size, windows.stop))
                wav, num_samples = _windows(source, indices, num_windows, seed)
                values = compute(wav.to(device), num_samples.to(device))
                for name, tensor in values.items():
                    parts.setdefault(name, []).append(_stored(tensor))
                bar.update(len(indices))
            _write_shard(_shard_folder(folder, shard), parts)
            logger.info("Cached %d of %d windows", windows.stop, num_windows)
    distributed.barrier()
    return CachedSource(folder, num_windows)


def _windows(
    source: WindowSource, indices: range, num_windows: int, seed: int
) -> tuple[Float[Tensor, "B S"], Int[Tensor, " B"]]:
    items = []
    for index in indices:
        rng = np.random.default_rng([seed, index])
        items.append(source.window((index + float(rng.random())) / num_windows, rng))
    wav = torch.from_numpy(np.stack([item["wav"] for item in items]))
    return wav, torch.from_numpy(np.stack([item["num_samples"] for item in items]))


def _stored(tensor: Tensor) -> np.ndarray:
    values = tensor.detach().cpu()
    if not values.is_floating_point():
        return values.numpy()
    # Beyond float16's range only a broken box would come.
    return values.float().clamp(-6e4, 6e4).to(torch.float16).numpy()


def _write_shard(folder: Path, parts: Mapping[str, list[np.ndarray]]) -> None:
    """Write all arrays beside the final place, then move them there at once."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, arrays in parts.items():
        np.save(partial / f"{name}.npy", np.concatenate(arrays), allow_pickle=False)
    os.replace(partial, folder)


def _digest_of(source: WindowSource) -> str:
    """Return a short name for the recordings and how they are drawn."""
    digest = hashlib.sha256(
        f"{source.config.domain_weights} {source.config.gain_db} {source.joined_share}".encode()
    )
    if source.speeds != NORMAL_SPEED:
        digest.update(f"{source.speeds}".encode())
    for entry in source.entries:
        # Not the folder: data may move.
        name = f"{Path(entry.path).name} {entry.domain} {entry.duration_s:.3f} {entry.offset}\n"
        digest.update(name.encode())
    return digest.hexdigest()[:16]


def _claim(folder: Path, description: Mapping[str, Any]) -> None:
    path = folder / INDEX_NAME
    wanted = json.loads(json.dumps(description))
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        if found != wanted:
            keys = [key for key in wanted if found.get(key) != wanted[key]]
            raise ConfigError(
                f"{folder} holds windows of another origin (other {', '.join(keys)}). Delete that "
                "folder, or choose another --out."
            )
        return
    if distributed.is_main():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)
