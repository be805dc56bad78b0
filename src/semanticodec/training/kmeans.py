"""k-means over features that lie on disk: faiss searches, the points are read in chunks.

Of several processes each has a share of the points, the first share first: what they do is what one
process does with all of them, within the rounding of sums. Centroids are the same in all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.errors import DataError, MissingDependencyError
from semanticodec.layers.processes import gather_rows, rank, sum_over_processes
from semanticodec.training.distributed import broadcast_from_main

CHUNK_ROWS = 65_536
# Seeds are chosen among this many points per centroid, in this many rounds.
SEEDING_POINTS = 16
SEEDING_ROUNDS = 16
# The first iterations only sort things out: a part of the points is enough for them.
COARSE_STRIDE = 4
COARSE_POINTS = 20
SPLIT = 1.0 / 1024.0


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Centroids, and the mean squared distance of the points to theirs."""

    centroids: Float[np.ndarray, "K D"]
    inertia: float


def load_faiss() -> Any:
    """Import faiss.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingDependencyError(
            "Clustering needs faiss; install semanticodec[train] (the package is faiss-cpu)."
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Share:
    """The points of this process, among those of all.

    Attributes:
        points: one row per point; may be a memory map of any float type.
        first: number of points before them, in other processes.
        total: number of points of all processes.
        device: device of what processes exchange.
    """

    points: Float[np.ndarray, "N D"]
    first: int
    total: int
    device: torch.device | str

    @classmethod
    def of(cls, points: Float[np.ndarray, "N D"], device: torch.device | str) -> _Share:
        counts = gather_rows(torch.tensor([len(points)], device=device)).tolist()
        return cls(points=points, first=sum(counts[: rank()]), total=sum(counts), device=device)

    def every(self, stride: int, offset: int) -> _Share:
        """Return the points whose number among all leaves `offset` on division by `stride`."""
        points = self.points[(offset - self.first) % stride :: stride]
        return _Share.of(points, self.device)

    def rows(self, numbers: np.ndarray) -> Float[np.ndarray, "N2 D"]:
        """Return points of any process by their numbers among all, in increasing order."""
        is_own = (numbers >= self.first) & (numbers < self.first + len(self.points))
        rows = np.zeros((len(numbers), self.points.shape[1]), dtype=np.float32)
        rows[is_own] = self.points[numbers[is_own] - self.first]
        return self.summed(rows)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of all processes' arrays."""
        return sum_over_processes(torch.from_numpy(values).to(self.device)).cpu().numpy()


def kmeans(
    points: Float[np.ndarray, "N D"],
    num_centroids: int,
    *,
    iterations: int,
    seed: int,
    on_iteration: Callable[[], object] = lambda: None,
    device: torch.device | str = "cpu",
) -> Clusters:
    """Cluster points, which may be a memory map of any float type.

    Seeding is k-means++ in rounds: each adds a share of the seeds, drawn in proportion to the
    squared distance to those that there are. The first half of the iterations sees every fourth
    point where that leaves enough.

    Args:
        points: one row per point, of this process; read in chunks, so they need not fit into
            memory.
        num_centroids: K.
        iterations: number of iterations of Lloyd's algorithm.
        seed: the same seed gives the same centroids.
        on_iteration: called after every iteration (for a progress bar).
        device: device of what processes exchange; matters for several only.
    Raises:
        DataError: fewer points than centroids.
    Source: paper Sec. III-B; seeding after Bahmani et al., Scalable K-Means++.
    """
    share = _Share.of(points, device)
    if share.total < num_centroids:
        raise DataError(
            f"{share.total} features are too few for {num_centroids} centroids; give more audio "
            "or choose smaller vocabularies."
        )
    rng = np.random.default_rng([seed, num_centroids])
    centroids = _seeds(share, num_centroids, rng)
    enough = share.total // COARSE_STRIDE >= COARSE_POINTS * num_centroids
    inertia = 0.0
    for iteration in range(iterations):
        is_coarse = enough and iteration < iterations // 2
        part = share.every(COARSE_STRIDE, iteration % COARSE_STRIDE) if is_coarse else share
        centroids, inertia = _lloyd(part, centroids, rng)
        on_iteration()
    return Clusters(centroids=centroids, inertia=inertia)


def _index(centroids: np.ndarray) -> Any:
    index = load_faiss().IndexFlatL2(centroids.shape[1])
    index.add(centroids)
    return index


def _seeds(share: _Share, num_centroids: int, rng: np.random.Generator) -> Float[np.ndarray, "K D"]:
    num_candidates = min(share.total, SEEDING_POINTS * num_centroids)
    numbers = np.sort(rng.choice(share.total, num_candidates, replace=False))
    candidates = share.rows(numbers)
    distances = np.full(num_candidates, np.inf, dtype=np.float32)
    chosen: list[np.ndarray] = []
    counts = np.diff(np.linspace(0, num_centroids, SEEDING_ROUNDS + 1).astype(int))
    for count in counts[counts > 0]:
        # Largest log(u) / w: a draw without replacement in proportion to the weight w.
        weights = np.ones_like(distances) if not chosen else np.maximum(distances, 1e-20)
        keys = np.log(rng.random(num_candidates)) / weights
        keys[np.concatenate(chosen) if chosen else np.zeros(0, dtype=int)] = -np.inf
        new = np.argpartition(-keys, count - 1)[:count]
        chosen.append(new)
        nearest = _index(candidates[new]).search(candidates, 1)[0][:, 0]
        distances = np.minimum(distances, nearest)
    seeds = torch.from_numpy(candidates[np.concatenate(chosen)]).to(share.device)
    # Where machines differ, the last bit of a distance may decide.
    broadcast_from_main([seeds])
    return seeds.cpu().numpy()


def _lloyd(
    share: _Share, centroids: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "K D"], float]:
    """Return the centroids after one iteration, and the inertia of the old ones."""
    points = share.points
    index = _index(centroids)
    sums = torch.zeros(centroids.shape, dtype=torch.float64)
    counts = np.zeros(len(centroids), dtype=np.int64)
    total = 0.0
    for first in range(0, len(points), CHUNK_ROWS):
        chunk = np.ascontiguousarray(points[first : first + CHUNK_ROWS], dtype=np.float32)
        distances, codes = index.search(chunk, 1)
        total += float(distances.sum(dtype=np.float64))
        counts += np.bincount(codes[:, 0], minlength=len(centroids))
        sums.index_add_(0, torch.from_numpy(codes[:, 0]), torch.from_numpy(chunk).double())
    sums, counts = share.summed(sums.numpy()), share.summed(counts)
    (total,) = share.summed(np.array([total]))
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    means[counts == 0] = centroids[counts == 0]
    return _split_empty(means, counts, rng), float(total) / share.total


def _split_empty(
    centroids: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, "K D"]:
    """Give every empty cluster half of a populous one, the two moved apart a little."""
    for empty in np.flatnonzero(counts == 0):
        weights = np.maximum(counts - 1, 0).astype(np.float64)
        if weights.sum() == 0:
            break
        full = int(rng.choice(len(counts), p=weights / weights.sum()))
        signs = np.where(np.arange(centroids.shape[1]) % 2, SPLIT, -SPLIT).astype(np.float32)
        centroids[empty] = centroids[full] * (1 + signs)
        centroids[full] = centroids[full] * (1 - signs)
        counts[empty] = counts[full] // 2
        counts[full] -= counts[empty]
    return centroids
