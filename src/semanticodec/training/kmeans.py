"""k-means over features that lie on disk; `point_sums` does the work, on CPU or GPU.

Of several processes each has a share of the points, the first share first: what they do is what one
process does with all of them, within the rounding of sums. Centroids are the same in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.errors import DataError
from semanticodec.layers.processes import gather_rows, rank, sum_over_processes
from semanticodec.training.distributed import broadcast_from_main
from semanticodec.training.point_sums import Points, points_on

# Seeds are chosen among this many points per centroid, in this many rounds.
SEEDING_POINTS = 16
SEEDING_ROUNDS = 16
# The first iterations only sort things out: a part of the points is enough for them.
COARSE_STRIDE = 4
COARSE_POINTS = 20
SPLIT = 1.0 / 1024.0
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Centroids, and the mean squared distance of the points to theirs."""

    centroids: Float[np.ndarray, "K D"]
    inertia: float


@dataclass(frozen=True, kw_only=True)
class _Share:
    """The points of this process, among those of all.

    Attributes:
        points: the points.
        first: number of points before them, in other processes.
        total: number of points of all processes.
        device: device of the points, and of what processes exchange.
    """

    points: Points
    first: int
    total: int
    device: torch.device

    @classmethod
    def of(cls, points: Points, device: torch.device) -> _Share:
        counts = gather_rows(torch.tensor([len(points)], device=device)).tolist()
        return cls(points=points, first=sum(counts[: rank()]), total=sum(counts), device=device)

    def every(self, stride: int, offset: int) -> _Share:
        """Return the points whose number among all leaves `offset` on division by `stride`."""
        part = self.points.part(slice((offset - self.first) % stride, None, stride))
        return _Share.of(part, self.device)

    def rows(self, numbers: np.ndarray) -> Float[np.ndarray, "N2 D"]:
        """Return points of any process by their numbers among all, in increasing order."""
        is_own = (numbers >= self.first) & (numbers < self.first + len(self.points))
        own = self.points.rows(numbers[is_own] - self.first)
        rows = np.zeros((len(numbers), own.shape[1]), dtype=np.float32)
        rows[is_own] = own
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
    device: torch.device = CPU,
) -> Clusters:
    """Cluster points, which may be a memory map of any float type.

    Seeding is k-means++ in rounds: each adds a share of the seeds, drawn in proportion to the
    squared distance to those that there are. The first half of the iterations sees every fourth
    point where that leaves enough.

    Args:
        points: one row per point, of this process; a CPU reads them in chunks, so they need not
            fit into memory.
        num_centroids: K.
        iterations: number of iterations of Lloyd's algorithm.
        seed: the same seed gives the same centroids, on a GPU up to rounding.
        on_iteration: called after every iteration (for a progress bar).
        device: where to compute; a GPU holds all points of its process.
    Raises:
        DataError: fewer points than centroids.
        MissingDependencyError: faiss, which a CPU needs, is not installed.
    Source: paper Sec. III-B; seeding after Bahmani et al., Scalable K-Means++.
    """
    share = _Share.of(points_on(device, points), device)
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


def _seeds(share: _Share, num_centroids: int, rng: np.random.Generator) -> Float[np.ndarray, "K D"]:
    num_candidates = min(share.total, SEEDING_POINTS * num_centroids)
    numbers = np.sort(rng.choice(share.total, num_candidates, replace=False))
    candidates = share.rows(numbers)
    placed = points_on(share.device, candidates)
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
        distances = np.minimum(distances, placed.distances(candidates[new]))
    seeds = torch.from_numpy(candidates[np.concatenate(chosen)]).to(share.device)
    # Where machines differ, the last bit of a distance may decide.
    broadcast_from_main([seeds])
    return seeds.cpu().numpy()


def _lloyd(
    share: _Share, centroids: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "K D"], float]:
    """Return the centroids after one iteration, and the inertia of the old ones."""
    own = share.points.sums(centroids)
    sums, counts = share.summed(own.sums), share.summed(own.counts)
    (total,) = share.summed(np.array([own.total]))
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
