"""What the frozen modules give for a fixed set of windows, computed once and kept on disk.

WindowSource -> windows -> AudioMAE features, VAE latent means -> shards of memory-mapped arrays
    -> CachedSource

CACHE/index.json                    what the windows were made from
CACHE/shard_00000/NAME.npy          one row per window; a shard appears when it is complete
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.errors import ConfigError
from semanticodec.files import atomic_folder, write_json
from semanticodec.layers.processes import rank, world_size
from semanticodec.progress import ProgressBar
from semanticodec.runs import differences, locked, plain, read_claim
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES
from semanticodec.training import distributed
from semanticodec.training.windows import NORMAL_SPEED, WindowSource

SHARD_WINDOWS = 32
# Gains, places and neighbors vary: further windows of the same audio soon teach nothing new.
WINDOWS_PER_10_S = 4
INDEX_NAME = "index.json"

logger = logging.getLogger(__name__)

# compute(wav B 164080, num_samples B) -> tensors by name, one row per window
Compute = Callable[[Tensor, Tensor], Mapping[str, Tensor]]


class CachedSource:
    """Draws from the windows of a finished cache.

    Args:
        folder: the cache.
        num_windows: number of windows that the cache was built with.
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
        return self.window(self.choose(rng))

    def choose(self, rng: np.random.Generator) -> int:
        """Return the number of a random window."""
        return int(rng.integers(self._num_windows))

    def window(self, index: int) -> dict[str, np.ndarray]:
        """Return the arrays of one window."""
        shard, row = divmod(index, SHARD_WINDOWS)
        return {name: np.array(rows[row]) for name, rows in self._shards[shard].items()}


def useful_windows(source: WindowSource, most: int) -> int:
    """Return how many windows of a source are worth their time, for a cache of limited size.

    Args:
        source: the recordings.
        most: size of the cache where there is enough audio.
    """
    different = -(-source.duration_s * SAMPLE_RATE // WINDOW_SAMPLES)
    return min(most, WINDOWS_PER_10_S * max(int(different), 1))


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
    show_progress: bool = True,
) -> CachedSource:
    """Compute what is still missing of a cache, and open it.

    Window i lies at a random point of the i-th of `num_windows` equal parts of the audio, so
    the windows cover it evenly. Several processes share the work.

    Args:
        folder: the cache's own; all processes must see it.
        source: source of the windows.
        compute: the frozen modules.
        num_windows: 1 or more.
        seed: random seed of places, gains and joins.
        batch_size: windows per call of `compute`.
        device: device of `compute`.
        origin: JSON values that name modules and settings; a cache of another origin is refused.
        show_progress: draw a progress bar, where stderr is a terminal.
    Raises:
        ConfigError: the folder holds a cache of another origin, or another run fills it.
    """
    description = {
        "num_windows": num_windows,
        "seed": seed,
        "recordings": _digest_of(source),
        **origin,
    }
    _claim(folder, description)
    shards = [_shard_folder(folder, index) for index in range(num_shards(num_windows))]
    with _only_run(folder, shards):
        distributed.barrier()  # from here on no other run adds a shard
        missing = [index for index, shard in enumerate(shards) if not shard.exists()]
        distributed.barrier()
        own = [
            range(index * SHARD_WINDOWS, min((index + 1) * SHARD_WINDOWS, num_windows))
            for index in missing[rank() :: world_size()]
        ]
        with ProgressBar(
            total=sum(map(len, own)),
            label="results of the frozen modules",
            unit="window",
            shown=show_progress and rank() == 0,
        ) as bar:
            for windows in own:
                arrays = _results(
                    windows,
                    source,
                    compute,
                    num_windows=num_windows,
                    seed=seed,
                    batch_size=batch_size,
                    device=device,
                    bar=bar,
                )
                with atomic_folder(shards[windows.start // SHARD_WINDOWS]) as partial:
                    for name, rows in arrays.items():
                        np.save(partial / f"{name}.npy", rows, allow_pickle=False)
                logger.info("Cached %d of %d windows", windows.stop, num_windows)
        distributed.barrier()
    return CachedSource(folder, num_windows)


def _only_run(folder: Path, shards: Iterable[Path]) -> AbstractContextManager[None]:
    """Hold a cache that is not complete for this run; any number may read one that is."""
    if not distributed.is_main() or all(shard.exists() for shard in shards):
        return nullcontext()
    return locked(folder)


def _results(
    windows: range,
    source: WindowSource,
    compute: Compute,
    *,
    num_windows: int,
    seed: int,
    batch_size: int,
    device: torch.device,
    bar: ProgressBar,
) -> dict[str, np.ndarray]:
    """Return what the frozen modules give for the windows of a shard, one row each."""
    parts: dict[str, list[np.ndarray]] = {}
    for first in range(windows.start, windows.stop, batch_size):
        indices = range(first, min(first + batch_size, windows.stop))
        wav, num_samples = _windows(source, indices, num_windows, seed)
        values = compute(wav.to(device), num_samples.to(device))
        for name, tensor in values.items():
            parts.setdefault(name, []).append(_stored(tensor))
        bar.update(len(indices))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


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
    # Beyond float16's range only a broken module would come.
    return values.float().clamp(-6e4, 6e4).to(torch.float16).numpy()


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
    remedy = "Delete that folder, or choose another --output."
    recorded = read_claim(folder, remedy=f"of another origin? {remedy}", name=INDEX_NAME)
    found = [] if recorded is None else differences(recorded, description)
    if found:
        raise ConfigError(
            f"{folder} holds windows of another origin "
            f"(other {', '.join(item.name for item in found)}). {remedy}"
        )
    if recorded is None and distributed.is_main():
        write_json(folder / INDEX_NAME, plain(description))
