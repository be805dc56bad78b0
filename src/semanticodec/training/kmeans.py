"""k-means over features that lie on disk; `point_sums` does the work, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from semanticodec.errors import DataError
from semanticodec.training.point_sums import Points, points_on

CPU = torch.device("cpu")
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


def kmeans(
    points: Float[np.ndarray, "N D"],
    num_centroids: int,
    *,
    iterations: int,
    seed: int,
    device: torch.device = CPU,
    on_iteration: Callable[[], object] = lambda: None,
) -> Clusters:
    """Cluster points, which may be a memory map of any float type.

    Seeding is k-means++ in rounds: each adds a share of the seeds, drawn in proportion to the
    squared distance to those that there are. The first half of the iterations sees every fourth
    point where that leaves enough.

    Args:
        points: one row per point; a CPU reads them in chunks, so they need not fit into memory.
        num_centroids: K.
        iterations: number of iterations of Lloyd's algorithm.
        seed: the same seed gives the same centroids, on a GPU up to rounding.
        device: where to compute; a GPU holds all points.
        on_iteration: called after every iteration (for a progress bar).
    Raises:
        DataError: fewer points than centroids.
        MissingDependencyError: faiss, which a CPU needs, is not installed.
    Source: paper Sec. III-B; seeding after Bahmani et al., Scalable K-Means++.
    """
    if len(points) < num_centroids:
        raise DataError(
            f"{len(points)} features are too few for {num_centroids} centroids; give more audio "
            "or choose smaller vocabularies."
        )
    rng = np.random.default_rng([seed, num_centroids])
    placed = points_on(device, points)
    centroids = _seeds(points, num_centroids, rng, device)
    enough = len(points) // COARSE_STRIDE >= COARSE_POINTS * num_centroids
    inertia = 0.0
    for iteration in range(iterations):
        is_coarse = enough and iteration < iterations // 2
        part = slice(iteration % COARSE_STRIDE, None, COARSE_STRIDE) if is_coarse else slice(None)
        centroids, inertia = _lloyd(placed, part, centroids, rng)
        on_iteration()
    return Clusters(centroids=centroids, inertia=inertia)


def _seeds(
    points: np.ndarray, num_centroids: int, rng: np.random.Generator, device: torch.device
) -> Float[np.ndarray, "K D"]:
    num_candidates = min(len(points), SEEDING_POINTS * num_centroids)
    rows = np.sort(rng.choice(len(points), num_candidates, replace=False))
    candidates = np.ascontiguousarray(points[rows], dtype=np.float32)
    placed = points_on(device, candidates)
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
    return candidates[np.concatenate(chosen)]


def _lloyd(
    points: Points, part: slice, centroids: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "K D"], float]:
    """Return the centroids after one iteration, and the inertia of the old ones."""
    sums, counts, total = points.sums(part, centroids)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    means[counts == 0] = centroids[counts == 0]
    num_points = int(counts.sum())
    return _split_empty(means, counts, rng), total / num_points


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
