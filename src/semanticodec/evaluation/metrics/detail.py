"""How much of a sound's detail is kept: harmonics of voices, lines of tones, grain of noise.

Detail is what a filter bank of 128 bins has beyond its smoothing over five bins. Decoded detail is
correlated with the original's, in bands of 16 bins and in the louder frames.

    band     0     1     2      3      4      5      6      7
    from    30   290   650   1140   1800   2710   3940   5630 to 7920 Hz
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.detail import split_detail
from semanticodec.audio.fbank import Fbank
from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import Metric, Pair, Pooled, check_pair

NUM_BINS = 128
BINS_PER_BAND = 16
NUM_BANDS = NUM_BINS // BINS_PER_BAND
# What a correlation is made of; the number of values comes last.
SUMS = ("original", "decoded", "original_squared", "decoded_squared", "product", "count")


@cache
def _fbank() -> Fbank:
    return Fbank(NUM_BINS)


def detail_sums(
    reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]
) -> Float[np.ndarray, "8 6"]:
    """Return the sums of every band that `correlation` takes, in the order of `SUMS`.

    Only frames above the original's mean log energy count.

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, less than 25 ms, or an original whose level is the
            same in every frame.
    """
    check_pair(reference, decoded)
    samples = (wav.astype(np.float32, copy=False).tobytes() for wav in (reference, decoded))
    return np.frombuffer(_sums(*samples)).reshape(NUM_BANDS, -1)


@lru_cache(maxsize=1)  # the bands of a pair follow each other
@torch.inference_mode()
def _sums(reference: bytes, decoded: bytes) -> bytes:
    wavs = np.stack([np.frombuffer(wav, dtype=np.float32) for wav in (reference, decoded)])
    energies: Float[Tensor, "2 T M"] = _fbank()(torch.from_numpy(wavs))
    is_loud = energies[0].mean(dim=1) > energies[0].mean()
    if not is_loud.any():
        raise AudioError("the reference clip has the same level throughout; no frame is loud")
    detail = split_detail(energies).detail[:, is_loud].double()
    original, made = detail.unflatten(2, (NUM_BANDS, BINS_PER_BAND))
    values = (original, made, original**2, made**2, original * made, torch.ones_like(original))
    return torch.stack([value.sum(dim=(0, 2)) for value in values], dim=1).numpy().tobytes()


def correlation(
    sums: Float[np.ndarray, "*axes 6"],
) -> Float[np.ndarray, "*axes"] | np.floating:
    """Return the correlation of decoded detail with the original's: 1 is all, 0 is none.

    Args:
        sums: of one clip or of many together, in the order of `SUMS`.
    """
    *sums_of, count = np.moveaxis(np.asarray(sums), -1, 0)
    mean, mean_decoded, square, square_decoded, product = (each / count for each in sums_of)
    spread = (square - mean**2) * (square_decoded - mean_decoded**2)
    # Without any spread, as in silence, nothing is kept.
    return (product - mean * mean_decoded) / np.sqrt(np.maximum(spread, np.finfo(float).tiny))


def _metric(band: int) -> Metric:
    name = f"detail_{band}"

    def measure(pair: Pair, _: object) -> tuple[float, ...]:
        return tuple(detail_sums(pair.reference, pair.decoded)[band].tolist())

    return Metric(
        name=name,
        label=f"Detail, band {band}",
        is_higher_better=True,
        measure=measure,
        family="detail",
        decimals=3,
        pooled=Pooled(
            keys=tuple(f"{name}_{sums}" for sums in SUMS), number=correlation, are_counts=False
        ),
    )


DETAIL = tuple(_metric(band) for band in range(NUM_BANDS))
