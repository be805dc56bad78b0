"""DNSMOS, a network's guess of listeners' opinion of speech, from 1 to 5, without the original."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from semanticodec.evaluation.metrics.base import Metric, Pair, check_audible, needs
from semanticodec.token_format import SAMPLE_RATE

# Names of the scores in the package, by ours; its score of the background is near 4 for all
# codecs and left out.
SCORES = {
    "dnsmos_ovrl": ("ovrl_mos", "DNSMOS overall"),
    "dnsmos_sig": ("sig_mos", "DNSMOS signal"),
    "dnsmos_p808": ("p808_mos", "DNSMOS P.808"),
}


def dnsmos(wav: Float[np.ndarray, " S"]) -> dict[str, float]:
    """Return the scores of a clip: overall quality, that of speech alone, and P.808's.

    Clips of less than 9.01 s are repeated, of longer ones every such stretch is scored and the
    scores are averaged: the package's own rule.

    Args:
        wav: speech, 16 kHz mono; what passes [-1, 1] is clipped.
    Returns:
        The scores, 1 to 5, by the keys of `SCORES`.
    Raises:
        AudioError: a silent clip.
        MissingDependencyError: speechmos, or what it imports, is not installed.
    Source: Reddy et al., "DNSMOS P.835", 2022 (the first two); "DNSMOS", 2021.
    """
    check_audible(wav, "decoded", "DNSMOS")
    return dict(zip(SCORES, _scores(np.clip(wav, -1, 1).astype(np.float32).tobytes())))


@lru_cache(maxsize=1)  # the three metrics of a clip follow each other
def _scores(samples: bytes) -> tuple[float, ...]:
    with needs("speechmos"):
        from speechmos import dnsmos as package
    found: Any = package.run(np.frombuffer(samples, dtype=np.float32), SAMPLE_RATE)
    return tuple(float(found[theirs]) for theirs, _ in SCORES.values())


def _metric(name: str, label: str) -> Metric:
    def measure(pair: Pair, _: object) -> tuple[float, ...]:
        return (dnsmos(pair.decoded)[name],)

    return Metric(
        name=name,
        label=label,
        is_higher_better=True,
        measure=measure,
        family="dnsmos",
        package="speechmos",
        module="speechmos.dnsmos",
        decimals=2,
        is_speech_only=True,
    )


DNSMOS = tuple(_metric(name, label) for name, (_, label) in SCORES.items())
