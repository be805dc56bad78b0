"""How unlike the envelopes of two mels are, band by band: what makes words understood.

A mean error of log energies can be the same for a mel whose envelopes rise and fall with those of
the recording and for one whose envelopes are flat. Listeners understand the first.

    log mel ─→ amplitudes of bands of four bins ─→ segments of 0.38 s ─→ 1 - correlation

Source: the segments and correlations of STOI (Taal et al. 2011), in all bands of the mel, without
its clipping. Who trains with it has to count words, too: STOI is no independent judge then.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

BINS_TOGETHER = 4
SEGMENT_FRAMES = 38
SEGMENT_HOP = 4
# Segments this far below the loudest of all bands count nothing.
RANGE_DB = 40.0
# Squared modulation, as a share of a segment's energy, below which there is none to be alike in.
FLAT_SHARE = 0.01


def envelope_distance(
    mel: Float[Tensor, "B T M"], target: Float[Tensor, "B T M"]
) -> Float[Tensor, ""]:
    """Return 0 for equal envelopes, whatever the level of each band, about 1 for unrelated ones.

    Args:
        mel: log amplitudes (natural logarithm), 100 frames per second, T at least 38.
        target: those of the recordings.
    """
    ours, theirs = _segments(mel), _segments(target)
    energy = theirs.square().sum(dim=-1)
    loudest = energy.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(mel.dtype).tiny)
    counts = (energy > loudest * 10 ** (-RANGE_DB / 10)).to(mel.dtype)
    distance = 1.0 - (_unit(ours) * _unit(theirs)).sum(dim=-1)
    return (counts * distance).sum() / counts.sum().clamp_min(1.0)


def _segments(mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B N N2 T2"]:
    """Return overlapping segments N2 of the amplitudes of bands N."""
    bands = (2.0 * mel).unflatten(2, (-1, BINS_TOGETHER)).logsumexp(dim=3)
    return (0.5 * bands).exp().transpose(1, 2).unfold(2, SEGMENT_FRAMES, SEGMENT_HOP)


def _unit(segments: Float[Tensor, "B N N2 T2"]) -> Float[Tensor, "B N N2 T3"]:
    """Return segments less their mean, of length 1; a little of the mean stays, for flat ones."""
    energy = segments.square().sum(dim=-1, keepdim=True)
    rest = (FLAT_SHARE * energy).sqrt()
    vectors = torch.cat([segments - segments.mean(dim=-1, keepdim=True), rest], dim=-1)
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
