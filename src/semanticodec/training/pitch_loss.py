"""The pitch of recordings, and how far a `PitchEstimator` is from it.

wav -> SwiftF0 -> frequency of every frame, 0 where there is none
logits, frequency -> cross-entropy of the pitch in voiced frames + of the voicing in all
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from semanticodec.decoder.pitch import LOWEST_PITCH, NUM_PITCHES, STEPS_PER_OCTAVE, PitchLogits
from semanticodec.errors import ConfigError
from semanticodec.token_format import SAMPLE_RATE

# Spread of the target around the true pitch, in steps of 25 cents.
SPREAD = 1.0


@cache
def _detector() -> Any:
    try:
        from swift_f0 import SwiftF0
    except ImportError as error:
        raise ConfigError(
            "Training a vocoder with a harmonic source needs the pitch of recordings: "
            "pip install 'semanticodec[train]'."
        ) from error
    return SwiftF0(threads=1, spin=False)


def frequencies(wav: Float[Tensor, "B S"], hop_length: int) -> Float[Tensor, "B T"]:
    """Return the pitch of recordings in Hz, 0 where there is none or it is out of range.

    Args:
        wav: recordings at 16 kHz.
        hop_length: samples per frame; the pitch belongs to the middle of a frame.
    """
    centers = (np.arange(wav.shape[1] // hop_length) + 0.5) * hop_length / SAMPLE_RATE
    _detector()  # here, so that threads do not load it at the same time
    # A GPU waits for this: the detector lets go of Python's lock.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        rows = list(
            pool.map(lambda row: _frequencies(row, centers), wav.detach().float().cpu().numpy())
        )
    return torch.from_numpy(np.stack(rows)).to(wav.device)


def _frequencies(
    wav: Float[np.ndarray, " S"], centers: Float[np.ndarray, " T"]
) -> Float[np.ndarray, " T"]:
    found = _detector().detect(wav, SAMPLE_RATE)
    frequency = np.exp(np.interp(centers, found.timestamps, np.log(found.pitch_hz)))
    is_voiced = np.interp(centers, found.timestamps, found.confidence) >= 0.5
    highest = LOWEST_PITCH * 2 ** (NUM_PITCHES / STEPS_PER_OCTAVE)
    is_in_range = (frequency >= LOWEST_PITCH) & (frequency < highest)
    return np.where(is_voiced & is_in_range, frequency, 0.0).astype(np.float32)


def pitch_loss(logits: PitchLogits, frequency: Float[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Return the cross-entropy of pitch (voiced frames alone) and voicing, in nats.

    Args:
        logits: output of a `PitchEstimator`.
        frequency: result of `frequencies`.
    """
    is_voiced = frequency > 0
    voicing = F.binary_cross_entropy_with_logits(logits.voicing, is_voiced.float())
    octaves = (frequency.clamp_min(LOWEST_PITCH) / LOWEST_PITCH).log2()
    steps = torch.arange(NUM_PITCHES, device=frequency.device)
    distance = (steps - (STEPS_PER_OCTAVE * octaves).unsqueeze(-1)) / SPREAD
    target = (-0.5 * distance.square()).softmax(dim=-1)
    errors = -(target * logits.pitches.log_softmax(dim=-1)).sum(dim=-1)
    # Every item counts alike, however much of it is voiced.
    pitch = (errors * is_voiced).sum(dim=1) / is_voiced.sum(dim=1).clamp_min(1)
    return voicing + pitch.mean()
