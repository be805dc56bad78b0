"""Clusters agree with classes that lie apart, and with classes dealt out at random they do not."""

import pytest
import torch

from semanticodec.errors import DataError
from semanticodec.evaluation.semantics.clustering import cluster


def clips(spread, num_classes=4, per_class=25, width=20):
    """Directions of classes with noise around them, each of a random length."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.eye(num_classes, width).repeat_interleave(per_class, 0)
    vectors = centers + spread * torch.randn(centers.shape, generator=generator)
    lengths = 0.1 + torch.rand(len(vectors), 1, generator=generator)
    return lengths * vectors, torch.arange(num_classes).repeat_interleave(per_class)


def test_classes_that_lie_apart_are_found():
    found = cluster(*clips(spread=0.02))
    assert found.purity == 1.0 and found.silhouette > 0.8
    # The largest of four classes by chance: a quarter, and somewhat more among 25 clips.
    assert 0.25 < found.chance < 0.5


def test_classes_that_do_not_exist_are_not_found():
    vectors, classes = clips(spread=100.0)
    found = cluster(vectors, classes)
    assert abs(found.silhouette) < 0.05
    assert found.purity == pytest.approx(found.chance, abs=0.1)


def test_what_cannot_be_clustered_is_refused():
    with pytest.raises(DataError, match="3 clips of 3 classes cannot be clustered"):
        cluster(torch.eye(3), torch.arange(3))
    with pytest.raises(DataError, match="3 clips of 1 classes"):
        cluster(torch.eye(3), torch.zeros(3, dtype=torch.int64))
