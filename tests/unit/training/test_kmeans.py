import sys

import numpy as np
import pytest

from semanticodec.errors import DataError, MissingDependencyError
from semanticodec.training import point_sums as module
from semanticodec.training.kmeans import kmeans


def blobs(num_blobs, points_per_blob=200, width=6, spread=0.01):
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 1, (num_blobs, width)).astype(np.float32)
    points = np.repeat(centers, points_per_blob, axis=0)
    points += rng.normal(0, spread, points.shape)
    return centers, rng.permutation(points).astype(np.float16)


def test_separate_clusters_are_all_found():
    centers, points = blobs(40)
    found = kmeans(points, 40, iterations=10, seed=0)
    distances = np.linalg.norm(centers[:, None] - found.centroids[None], axis=-1)
    # Seeds drawn by distance miss few; what they miss shows in the inertia.
    assert (distances.min(axis=1) < 0.05).mean() > 0.85
    assert found.inertia < 0.1 * points.astype(np.float32).var(axis=0).sum()


def test_more_iterations_never_fit_worse():
    points = np.random.default_rng(1).normal(size=(4000, 4)).astype(np.float32)
    fits = [kmeans(points, 20, iterations=count, seed=3).inertia for count in (1, 4, 20)]
    assert fits == sorted(fits, reverse=True)


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch):
    _, points = blobs(10)
    first = kmeans(points, 25, iterations=4, seed=5)
    again = kmeans(points, 25, iterations=4, seed=5)
    assert (first.centroids == again.centroids).all()
    assert (first.centroids != kmeans(points, 25, iterations=4, seed=6).centroids).any()
    monkeypatch.setattr(module, "CHUNK_ROWS", 333)
    chunked = kmeans(points, 25, iterations=4, seed=5)
    np.testing.assert_allclose(chunked.centroids, first.centroids, atol=1e-5)


def test_points_may_lie_on_disk(tmp_path):
    _, points = blobs(5)
    np.save(tmp_path / "points.npy", points)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    on_disk = kmeans(mapped, 5, iterations=3, seed=0)
    assert (on_disk.centroids == kmeans(points, 5, iterations=3, seed=0).centroids).all()


def test_as_many_centroids_as_points_are_the_points():
    points = np.random.default_rng(2).normal(size=(30, 3)).astype(np.float32)
    found = kmeans(points, 30, iterations=2, seed=0)
    assert found.inertia == pytest.approx(0.0, abs=1e-6)
    assert np.allclose(np.sort(found.centroids, axis=0), np.sort(points, axis=0))


def test_equal_points_leave_no_centroid_undefined():
    found = kmeans(np.ones((50, 3), np.float32), 8, iterations=3, seed=0)
    assert np.isfinite(found.centroids).all()
    np.testing.assert_allclose(found.centroids, 1.0, atol=0.01)


def test_too_few_points_are_refused():
    with pytest.raises(DataError, match="7 features are too few for 8 centroids"):
        kmeans(np.ones((7, 3), np.float32), 8, iterations=1, seed=0)


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingDependencyError, match=r"semanticodec\[train\]"):
        kmeans(np.ones((9, 3), np.float32), 8, iterations=1, seed=0)
