"""Semantic codebooks: k-means of AudioMAE features, domain by domain, merged to vocabularies.

recordings of a domain -> windows -> AudioMAE, stacked -> features on disk
    -> k-means with the domain's share of the entries -> all domains' centroids, one codebook,
       rounded to 8 bits

Of several processes each computes and keeps the features of its share of the windows; with a
cache (`feature_cache.py`) for further runs too.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from semanticodec.checkpoints.codebook_grid import round_to_grid
from semanticodec.checkpoints.trained_module import (
    CODEBOOK,
    export_module,
    load_audiomae,
    module_digest,
)
from semanticodec.encoder.encoder import valid_mask
from semanticodec.encoder.semantic_quantizer import BUFFER_PREFIX
from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.files import json_digest
from semanticodec.layers.processes import rank, sum_over_processes, world_size
from semanticodec.progress import ProgressBar
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES, TokenGrid
from semanticodec.training import distributed
from semanticodec.training.entry import AudioEntry
from semanticodec.training.feature_cache import kept_features
from semanticodec.training.features import FeatureExtractor, stacked_features
from semanticodec.training.kmeans import kmeans
from semanticodec.training.point_sums import load_faiss
from semanticodec.training.reader import BrokenRecordings
from semanticodec.training.sources import find_entries
from semanticodec.training.state import finish_export, make_run_folder
from semanticodec.training.train import RunOptions
from semanticodec.training.windows import padded_window, read_window

POOLED = "all"
FEATURE_BATCH = 8
# Windows are left out evenly where all of them would give this many times the wanted features.
SURPLUS = 2.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodebookRecipe:
    """A run that clusters instead of descending gradients.

    Attributes:
        name: name in the export.
        stack_factor: K, 1, 2 or 4.
        vocab_sizes: entries of each merged codebook.
        shares: share of every domain in the entries; empty = no domains, all audio together.
        features_per_centroid: most features per centroid of the largest codebook; the smaller
            ones see the same features.
        iterations: iterations of k-means.
        seed: random seed of the choice of features and centroids.
    """

    name: str
    stack_factor: int = 1
    vocab_sizes: tuple[int, ...] = (4096, 8192)
    shares: tuple[tuple[str, float], ...] = (("general", 0.5), ("music", 0.25), ("speech", 0.25))
    features_per_centroid: int = 256
    iterations: int = 20
    seed: int = 0

    def run(self, options: RunOptions) -> Path | None:
        """Cluster and export; a run always starts from the beginning.

        Returns:
            The folder of the export; None in all processes but the main one, which writes it.
        Raises:
            ConfigError: an option that has no meaning here, or AudioMAE is missing.
            DataError: A domain is missing, or there is too little audio.
        """
        self._check(options)
        make_run_folder(options.out)
        device = distributed.local_device(options.device)
        if options.num_threads is not None:
            torch.set_num_threads(options.num_threads)
        if device.type == "cpu":
            # Its absence is said before the features are computed.
            faiss = load_faiss()
            if options.num_threads is not None:
                faiss.omp_set_num_threads(options.num_threads)
        distributed.start(device)
        try:
            audiomae = load_audiomae(options.modules["audiomae"])
            entries = find_entries(options.data)
            extractor = FeatureExtractor(audiomae).to(device)
            return self._fitted(entries)._run(entries, extractor, options)
        finally:
            distributed.stop()

    def _fitted(self, entries: list[AudioEntry]) -> CodebookRecipe:
        """Return the recipe with a single domain where the data knows none."""
        wanted = [name for name, _ in self.shares]
        if not wanted or any(entry.is_domain_named or entry.domain in wanted for entry in entries):
            return self
        logger.warning(
            "The data has no sub-folders %s, between which the entries of a codebook are divided: "
            "all recordings count as %s.",
            ", ".join(f"{name}/" for name in wanted),
            wanted[0],
        )
        return dataclasses.replace(self, shares=((wanted[0], 1.0),))

    def _run(
        self, entries: list[AudioEntry], extractor: FeatureExtractor, options: RunOptions
    ) -> Path | None:
        started = time.monotonic()
        seed = self.seed if options.seed is None else options.seed
        show_progress = options.show_progress and distributed.is_main()
        own = options.out / f"features_{rank()}"
        features = {
            domain: self._kept(options, extractor, seed, domain, found, own / f"{number}.npy")
            for number, (domain, found) in enumerate(self._by_domain(entries).items())
        }
        device = extractor.audiomae.positions.device
        num_features = {
            domain: int(sum_over_processes(torch.tensor(len(rows), device=device)))
            for domain, rows in features.items()
        }
        weights, inertia = self._cluster(features, seed, show_progress, device)
        shutil.rmtree(own, ignore_errors=True)
        if not distributed.is_main():
            return None
        export = options.out / "export"
        export_module(
            export,
            name=CODEBOOK,
            config={
                "vocab_sizes": sorted(self.vocab_sizes),
                "stack_factor": self.stack_factor,
                "width": self.stack_factor * extractor.audiomae.config.width,
                "entries": {str(size): self.entries_of(size) for size in sorted(self.vocab_sizes)},
                "features": num_features,
                "inertia": inertia,
            },
            weights=weights,
        )
        record = {
            "recipe": self.name,
            **dataclasses.asdict(self),
            "seed": seed,
            "seconds": round(time.monotonic() - started, 1),
        }
        finish_export(export, record, half=options.is_half)
        return export

    def entries_of(self, vocab_size: int) -> dict[str, int]:
        """Return how many entries of a vocabulary each domain gets; the first takes the rest."""
        shares = dict(self.shares) or {POOLED: 1.0}
        total = sum(shares.values())
        entries = {name: int(vocab_size * share / total) for name, share in shares.items()}
        first = next(iter(entries))
        entries[first] += vocab_size - sum(entries.values())
        return entries

    def _check(self, options: RunOptions) -> None:
        if set(options.modules) != {"audiomae"}:
            raise ConfigError(
                f"Codebooks need the module audiomae and no other, but got "
                f"{', '.join(options.modules) or 'none'}; add --module audiomae=RUN/export."
            )
        for name in ("steps", "batch_size", "lr", "init", "minutes"):
            if getattr(options, name) is not None:
                raise ConfigError(
                    f"Clustering has no use for --{name.replace('_', '-')}; leave it out."
                )

    def _kept(
        self,
        options: RunOptions,
        extractor: FeatureExtractor,
        seed: int,
        domain: str,
        entries: list[AudioEntry],
        path: Path,
    ) -> Float[np.ndarray, "N D"]:
        """Return this process's features of a domain as a memory map: of `path`, or of a cache."""
        choice = {
            "stack_factor": self.stack_factor,
            "capacity": self.features_per_centroid * self.entries_of(max(self.vocab_sizes))[domain],
            "seed": seed,
        }

        def compute(target: Path) -> Float[np.ndarray, "N D"]:
            target.parent.mkdir(parents=True, exist_ok=True)
            show_progress = options.show_progress and distributed.is_main()
            return collect_features(
                extractor, entries, target, **choice, show_progress=show_progress
            )

        if options.features is None:
            return compute(path)
        origin = {
            "audiomae": module_digest(options.modules["audiomae"]),
            "recordings": json_digest(list(map(_place, entries))),
            "share": [rank(), world_size()],
            **choice,
        }
        return kept_features(options.features, origin, compute)

    def _by_domain(self, entries: list[AudioEntry]) -> dict[str, list[AudioEntry]]:
        names = [name for name, _ in self.shares] or [POOLED]
        if len(names) == 1:
            return {names[0]: entries}
        by_domain = {name: [entry for entry in entries if entry.domain == name] for name in names}
        missing = [name for name, found in by_domain.items() if not found]
        if missing:
            held = ", ".join(sorted({entry.domain for entry in entries}))
            shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares)
            raise DataError(
                f"The data has no recordings of {', '.join(missing)}, only of {held}. The entries "
                f"of a codebook are divided between the domains ({shares}): name sub-folders of "
                "the data (or the manifest's `domain`) so, give one folder without sub-folders, "
                "or use a recipe `..._pooled`, which knows no domains."
            )
        return by_domain

    def _cluster(
        self,
        features: dict[str, Float[np.ndarray, "N D"]],
        seed: int,
        show_progress: bool,
        device: torch.device,
    ) -> tuple[dict[str, Tensor], dict[str, dict[str, float]]]:
        """Return the merged codebooks by buffer name, and the inertia by size and domain."""
        weights: dict[str, Tensor] = {}
        inertia: dict[str, dict[str, float]] = {}
        num_runs = len(self.vocab_sizes) * len(features)
        num_steps = num_runs * self.iterations
        with ProgressBar(
            label="k-means", unit="iteration", total=num_steps, shown=show_progress
        ) as bar:
            for size in sorted(self.vocab_sizes):
                parts = []
                for domain, num_entries in self.entries_of(size).items():
                    rows = features[domain]
                    clusters = kmeans(
                        rows,
                        num_entries,
                        iterations=self.iterations,
                        seed=seed,
                        on_iteration=lambda: bar.update(1),
                        device=device,
                    )
                    logger.info(
                        "%s: %d centroids, inertia %.4g", domain, num_entries, clusters.inertia
                    )
                    parts.append(torch.from_numpy(clusters.centroids))
                    inertia.setdefault(str(size), {})[domain] = round(clusters.inertia, 6)
                weights[f"{BUFFER_PREFIX}{size}"] = round_to_grid(torch.cat(parts))
        return weights, inertia


def _place(entry: AudioEntry) -> list[Any]:
    """Return what names a recording wherever its data lies."""
    return [Path(entry.path).name, entry.domain, round(entry.duration_s, 3), entry.offset]


def window_starts(entry: AudioEntry) -> list[int]:
    """Return the first sample, at 16 kHz, of each window that the codec cuts a recording into."""
    num_samples = max(round(entry.duration_s * SAMPLE_RATE), 1)
    return list(range(0, num_samples, WINDOW_SAMPLES))


@torch.no_grad()
def collect_features(
    extractor: FeatureExtractor,
    entries: list[AudioEntry],
    path: Path,
    *,
    stack_factor: int,
    capacity: int,
    seed: int,
    show_progress: bool = True,
) -> Float[np.ndarray, "N D"]:
    """Stream the features of recordings to a float16 file; padding is left out.

    Where there are more than `capacity`, every feature has the same chance to be kept. Of several
    processes each takes a share of the windows, the first process the first one.

    Args:
        extractor: AudioMAE with its filter bank.
        entries: the recordings; a broken one is skipped with a warning.
        path: `.npy` file to write.
        stack_factor: K, 1, 2 or 4.
        capacity: most rows of the file, and about as many of those of all processes.
        seed: random seed of the choice.
        show_progress: draw a progress bar, where stderr is a terminal.
    Returns:
        The rows as a memory map.
    Raises:
        DataError: too many recordings are broken.
    """
    per_window = TokenGrid.from_stack_factor(stack_factor).positions_per_window
    windows = _windows(entries, max(round(SURPLUS * capacity / per_window), 1))
    seconds = sum(
        min(entry.duration_s - start / SAMPLE_RATE, WINDOW_SAMPLES / SAMPLE_RATE)
        for entry, start in windows
    )
    expected = seconds / (WINDOW_SAMPLES / SAMPLE_RATE) * per_window
    share = min(1.0, capacity / max(expected, 1.0))
    rng = np.random.default_rng([seed, len(windows), rank()])
    ends = [len(windows) * number // world_size() for number in (rank(), rank() + 1)]
    windows = windows[slice(*ends)]
    capacity = max(min(capacity, len(windows) * per_window), 1)
    shape = (capacity, stack_factor * extractor.audiomae.config.width)
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    broken = BrokenRecordings(len(entries))
    count = 0
    with ProgressBar(
        label="features", unit="window", total=len(windows), shown=show_progress
    ) as bar:
        for first in range(0, len(windows), FEATURE_BATCH):
            batch = windows[first : first + FEATURE_BATCH]
            rows = _features_of(extractor, batch, stack_factor, broken)
            kept = rows[rng.random(len(rows)) < share][: capacity - count]
            stored[count : count + len(kept)] = kept
            count += len(kept)
            bar.update(len(batch))
    stored.flush()
    logger.info("%d features of %d windows in %s", count, len(windows), path.name)
    return np.load(path, mmap_mode="r")[:count]


def _windows(entries: list[AudioEntry], most: int) -> list[tuple[AudioEntry, int]]:
    """Return recording and first sample of every window, or of so many evenly spaced ones."""
    windows = [(entry, start) for entry in entries for start in window_starts(entry)]
    if len(windows) <= most:
        return windows
    return [windows[row] for row in np.linspace(0, len(windows) - 1, most).astype(int)]


def _features_of(
    extractor: FeatureExtractor,
    windows: list[tuple[AudioEntry, int]],
    stack_factor: int,
    broken: BrokenRecordings,
) -> Float16[np.ndarray, "N D"]:
    """Return the features of windows before the end of the audio."""
    read = []
    for entry, start in windows:
        try:
            read.append(padded_window(read_window(entry, start=start)))
        except AudioError as error:
            broken.add(entry, error)
    if not read:
        return np.zeros((0, stack_factor * extractor.audiomae.config.width), dtype=np.float16)
    device = extractor.audiomae.positions.device
    wav = torch.from_numpy(np.stack([samples for samples, _ in read])).to(device)
    num_samples = torch.tensor([count for _, count in read], device=device)
    result = stacked_features(extractor(wav, num_samples), stack_factor)
    valid = valid_mask(result.num_valid, result.features.shape[1])
    return result.features[valid].to(torch.float16).cpu().numpy()
