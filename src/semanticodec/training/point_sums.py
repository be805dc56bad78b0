"""The work of k-means: distances to the nearest centroids, and sums of the points of each.

FaissPoints     on a CPU: points are read in chunks, from disk if they lie there
TorchPoints     on another device, to which the points are copied once
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.errors import MissingDependencyError

CHUNK_ROWS = 65_536
# Largest table of distances on another device: 2 GiB.
CHUNK_ELEMENTS = 1 << 29


class PointSums(NamedTuple):
    """What one pass over the points gives.

    Attributes:
        sums: sum of the points nearest to each centroid.
        counts: number of these points.
        total: sum of the squared distances of all points to theirs.
    """

    sums: Float[np.ndarray, "K D"]
    counts: Int[np.ndarray, " K"]
    total: float


class Points(Protocol):
    """Points that are clustered, wherever they are."""

    def __len__(self) -> int:
        """Return their number."""
        ...

    def part(self, chosen: slice) -> Points:
        """Return some of the points, which stay where they are."""
        ...

    def rows(self, numbers: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
        """Return points by their numbers, float32."""
        ...

    def distances(self, centroids: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " N"]:
        """Return the squared distances of all points to their nearest centroids."""
        ...

    def sums(self, centroids: Float[np.ndarray, "K D"]) -> PointSums:
        """Pass over the points."""
        ...


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


def points_on(device: torch.device, points: Float[np.ndarray, "N D"]) -> Points:
    """Return points as they are clustered on a device.

    Args:
        device: faiss works on a CPU, torch on any other.
        points: one row per point, may be a memory map.
    """
    if device.type == "cpu":
        return FaissPoints(points)
    # A copy in memory first: torch does not take what may not be written to.
    return TorchPoints(torch.from_numpy(np.array(points)).to(device))


class FaissPoints:
    """Points that stay where they are, in memory or on disk."""

    def __init__(self, points: Float[np.ndarray, "N D"]) -> None:
        self._points = points

    def __len__(self) -> int:
        return len(self._points)

    def part(self, chosen: slice) -> FaissPoints:
        """Return some of the points."""
        return FaissPoints(self._points[chosen])

    def rows(self, numbers: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
        """Return points by their numbers, float32."""
        return np.ascontiguousarray(self._points[numbers], dtype=np.float32)

    def distances(self, centroids: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " N"]:
        """Return the squared distances of all points, which fit into memory."""
        points = np.ascontiguousarray(self._points, dtype=np.float32)
        return _index(centroids).search(points, 1)[0][:, 0]

    def sums(self, centroids: Float[np.ndarray, "K D"]) -> PointSums:
        """Pass over the points, in chunks."""
        points = self._points
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
        return PointSums(sums.numpy(), counts, total)


def _index(centroids: np.ndarray) -> Any:
    index = load_faiss().IndexFlatL2(centroids.shape[1])
    index.add(centroids)
    return index


class TorchPoints:
    """Points on a device that has room for them all.

    A GPU adds up a centroid's points in any order: sums differ in the last bits of float64 from
    run to run.
    """

    def __init__(self, points: Float[Tensor, "N D"]) -> None:
        self._points = points

    def __len__(self) -> int:
        return len(self._points)

    def part(self, chosen: slice) -> TorchPoints:
        """Return some of the points."""
        return TorchPoints(self._points[chosen])

    def rows(self, numbers: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
        """Return points by their numbers, float32."""
        chosen = torch.from_numpy(numbers).to(self._points.device)
        return self._points[chosen].float().cpu().numpy()

    def distances(self, centroids: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " N"]:
        """Return the squared distances of all points to their nearest centroids."""
        targets = torch.from_numpy(centroids).to(self._points.device)
        chunks = self._points.split(_num_rows(centroids))
        found = [_nearest(chunk.float(), targets)[0] for chunk in chunks]
        return torch.cat(found).cpu().numpy()

    def sums(self, centroids: Float[np.ndarray, "K D"]) -> PointSums:
        """Pass over the points, in chunks."""
        device = self._points.device
        targets = torch.from_numpy(centroids).to(device)
        sums = torch.zeros(centroids.shape, dtype=torch.float64, device=device)
        counts = torch.zeros(len(centroids), dtype=torch.int64, device=device)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for rows in self._points.split(_num_rows(centroids)):
            chunk = rows.float()
            distances, codes = _nearest(chunk, targets)
            total += distances.sum(dtype=torch.float64)
            counts += torch.bincount(codes, minlength=len(centroids))
            sums.index_add_(0, codes, chunk.double())
        return PointSums(sums.cpu().numpy(), counts.cpu().numpy(), float(total))


def _num_rows(centroids: np.ndarray) -> int:
    return max(1, min(CHUNK_ROWS, CHUNK_ELEMENTS // len(centroids)))


def _nearest(
    points: Float[Tensor, "N D"], centroids: Float[Tensor, "K D"]
) -> tuple[Float[Tensor, " N"], Int[Tensor, " N"]]:
    """Return the squared distances to the nearest centroids, and which these are."""
    # |x - c|^2 less |x|^2, which is the same for all centroids.
    scores = torch.addmm(centroids.square().sum(dim=1), points, centroids.T, alpha=-2.0)
    codes = scores.argmin(dim=1)
    return (points - centroids[codes]).square().sum(dim=1), codes
