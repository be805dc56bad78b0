"""Distances between spectrograms, MEL and STFT (Sec. IV-C), in DAC's evaluation setting."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.spectrogram import slaney_filters
from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import Metric, check_pair, of_pair
from semanticodec.token_format import SAMPLE_RATE

# Window length in samples: number of mel bins.
MEL_BINS = {32: 5, 64: 10, 128: 20, 256: 40, 512: 80, 1024: 160, 2048: 320}
STFT_WINDOWS = (2048, 512)
LOG_FLOOR = 1e-5
HOPS_PER_WINDOW = 4


@cache
def _window(length: int) -> Float[Tensor, " S"]:
    return torch.hann_window(length)


@cache
def _filters(length: int) -> Float[Tensor, "F M"]:
    return slaney_filters(SAMPLE_RATE, length, MEL_BINS[length], SAMPLE_RATE / 2)


def _pair(reference: np.ndarray, decoded: np.ndarray, longest: int) -> Float[Tensor, "2 S"]:
    check_pair(reference, decoded)
    if len(reference) <= longest // 2:
        raise AudioError(
            f"{len(reference)} samples are too short for spectrograms with windows of {longest}; "
            f"give clips of more than {longest // 2} samples"
        )
    return torch.from_numpy(np.stack([reference, decoded]).astype(np.float32, copy=False))


def _magnitudes(wavs: Float[Tensor, "2 S"], length: int) -> Float[Tensor, "2 F T"]:
    """Return magnitude spectrograms of frames that are centered on multiples of the hop."""
    spectra = torch.stft(
        wavs,
        length,
        length // HOPS_PER_WINDOW,
        window=_window(length),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    return spectra.abs()


def _mean_difference(pair: Float[Tensor, "2 ..."]) -> float:
    return float((pair[0] - pair[1]).abs().mean())


@torch.inference_mode()
def mel_distance(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return the distance of log-mel spectrograms, summed over seven window lengths.

    Each is the mean absolute difference of log10 of the mel magnitudes, clamped at 1e-5.

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Returns:
        0 for equal clips, about 2 for codecs of 1 kbps; silent clips are allowed.
    Raises:
        AudioError: different lengths, NaN, or not more than 1024 samples.
    Source: Sec. IV-C "MEL"; windows 32 to 2048 with 5 to 320 Slaney mel bins, hop a quarter.
    """
    wavs = _pair(reference, decoded, max(MEL_BINS))
    distance = 0.0
    for length in MEL_BINS:
        mels = _magnitudes(wavs, length).transpose(1, 2) @ _filters(length)  # 2 F T -> 2 T M
        distance += _mean_difference(mels.clamp_min(LOG_FLOOR).log10())
    return distance


@torch.inference_mode()
def stft_distance(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return the distance of spectrograms with windows of 2048 and 512 samples.

    For each: the mean absolute difference of the magnitudes, and that of log10 of their squares
    (magnitudes clamped at 1e-5).

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Returns:
        0 for equal clips, about 3 for codecs of 1 kbps; silent clips are allowed.
    Raises:
        AudioError: different lengths, NaN, or not more than 1024 samples.
    Source: Sec. IV-C "STFT"; hop a quarter of the window.
    """
    wavs = _pair(reference, decoded, max(STFT_WINDOWS))
    distance = 0.0
    for length in STFT_WINDOWS:
        magnitudes = _magnitudes(wavs, length)
        logs = magnitudes.clamp_min(LOG_FLOOR).square().log10()
        distance += _mean_difference(logs) + _mean_difference(magnitudes)
    return distance


MEL = Metric(
    name="mel",
    label="MEL",
    is_higher_better=False,
    measure=of_pair(mel_distance),
    family="sound",
)
STFT = Metric(
    name="stft",
    label="STFT",
    is_higher_better=False,
    measure=of_pair(stft_distance),
    family="sound",
)
