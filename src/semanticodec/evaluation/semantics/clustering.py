"""How far clips of one class lie together before anything is trained: silhouette and purity.

vectors of clips -> unit length -> silhouette of the classes
                                -> k-means with as many clusters as classes -> purity
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor
from torch.nn import functional as F

from semanticodec.errors import DataError

STARTS = 10
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """How clusters and classes agree.

    Attributes:
        silhouette: mean over clips of (b - a) / max(a, b), a their mean distance to clips of their
            own class, b to those of the nearest other class: -1 to 1, 0 where classes overlap.
        purity: share of the clips that belong to the most frequent class of their cluster, 0 to 1.
        chance: purity of the same clusters where classes are dealt out at random.
    """

    silhouette: float
    purity: float
    chance: float


def cluster(vectors: Float[Tensor, "N D"], classes: Int[Tensor, " N"]) -> Clustering:
    """Return how clusters of clips agree with their classes; the same for the same arguments.

    Args:
        vectors: one row per clip, such as a histogram of its codes; its length does not count.
        classes: class of every clip.
    Raises:
        DataError: fewer than two classes, or no more clips than classes.
    """
    num_classes = len(classes.unique())
    if not 2 <= num_classes < len(classes):
        raise DataError(
            f"{len(classes)} clips of {num_classes} classes cannot be clustered; give two or more "
            "classes, and more clips than classes"
        )
    rows = F.normalize(vectors.float(), dim=1).numpy()
    labels = classes.numpy()
    # The fewest columns that hold any distance: a vocabulary is larger than what clips use of it.
    used = rows[:, rows.any(axis=0)]
    clusters = KMeans(num_classes, n_init=STARTS, random_state=SEED)  # type: ignore[arg-type]
    found = clusters.fit_predict(used)
    dealt = np.random.default_rng(SEED).permutation(labels)
    return Clustering(
        silhouette=float(silhouette_score(used, labels)),
        purity=_purity(labels, found),
        chance=_purity(dealt, found),
    )


def _purity(classes: np.ndarray, clusters: np.ndarray) -> float:
    counts = contingency_matrix(classes, clusters)
    return float(counts.max(axis=0).sum() / counts.sum())
