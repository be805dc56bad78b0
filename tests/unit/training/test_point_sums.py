"""Laws of the work of k-means: faiss on a CPU and torch elsewhere give the same."""

import sys

import numpy as np
import pytest
import torch

from semanticodec.training import kmeans as module
from semanticodec.training import point_sums
from semanticodec.training.kmeans import kmeans
from semanticodec.training.point_sums import FaissPoints, TorchPoints


def on_torch(points):
    return TorchPoints(torch.from_numpy(np.array(points)))


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(500, 6)).astype(np.float16)


@pytest.mark.parametrize("part", [slice(None), slice(3, None, 4)])
def test_faiss_and_torch_agree(points, part, monkeypatch):
    monkeypatch.setattr(point_sums, "CHUNK_ROWS", 77)
    centroids = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    ours, theirs = on_torch(points).part(part), FaissPoints(points).part(part)
    np.testing.assert_allclose(
        ours.distances(centroids), theirs.distances(centroids), rtol=1e-4, atol=1e-5
    )
    found, expected = ours.sums(centroids), theirs.sums(centroids)
    assert (found.counts == expected.counts).all()
    assert found.counts.sum() == len(points[part]) == len(ours)
    numbers = np.array([7, 3])
    assert (ours.rows(numbers) == theirs.rows(numbers)).all()
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-6, atol=1e-6)
    assert found.total == pytest.approx(expected.total, rel=1e-4)


def test_a_large_codebook_is_searched_in_smaller_chunks(points, monkeypatch):
    centroids = points[:100].astype(np.float32)
    whole = on_torch(points).sums(centroids)
    monkeypatch.setattr(point_sums, "CHUNK_ELEMENTS", 250)
    cut = on_torch(points).sums(centroids)
    np.testing.assert_allclose(cut.sums, whole.sums)
    assert (cut.counts == whole.counts).all()


def test_without_faiss_another_device_clusters_all_the_same(points, monkeypatch):
    expected = kmeans(points, 20, iterations=4, seed=5)
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(module, "points_on", lambda device, rows: on_torch(rows))
    found = kmeans(points, 20, iterations=4, seed=5)
    np.testing.assert_allclose(found.centroids, expected.centroids, atol=1e-5)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-5)
