"""Cutting long audio into 10.24 s windows, and joining decoded windows again.

encode: windows side by side          |----w0----|----w1----|--w2--|
decode: 6.25 % overlap, cross-faded   |----w0----|
                                               |----w1----|

Live streams may be cut into shorter windows, of whole steps of 0.32 s (`streaming`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.errors import ConfigError, told
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES

OVERLAP_SAMPLES = 10_240  # 0.64 s, paper Sec. IV-D
HOP_SAMPLES = WINDOW_SAMPLES - OVERLAP_SAMPLES
# A window is 64 columns of 0.16 s; decoding advances by 60 of them.
OVERLAP_FRACTION = 16
# A window that is not padded to its full length is a multiple of 0.32 s: of two columns, which a
# stack factor of 4 joins, and of what the T-UNet can halve.
STEP_SAMPLES = 5120


@dataclass(frozen=True)
class Window:
    """One window to encode: `wav` padded as `window_fbank` expects it."""

    wav: Float[Tensor, "1 S"]
    num_samples: int
    is_last: bool


def steps_of(name: str, seconds: float, least_samples: int = STEP_SAMPLES) -> int:
    """Return the samples of a time that is a whole number of steps.

    Args:
        name: what the time is, in messages.
        seconds: up to a whole window of 10.24 s.
        least_samples: the least that is allowed.
    Raises:
        ConfigError: another time.
    """
    is_number = isinstance(seconds, Real) and math.isfinite(seconds)
    num_samples = round(seconds * SAMPLE_RATE) if is_number else -1
    is_whole = is_number and num_samples % STEP_SAMPLES == 0
    # Floating-point times such as 3 * 0.32 may miss the sample by rounding.
    is_exact = is_number and math.isclose(num_samples, seconds * SAMPLE_RATE, abs_tol=1e-3)
    if not (is_whole and is_exact and least_samples <= num_samples <= WINDOW_SAMPLES):
        step_s, longest_s = STEP_SAMPLES / SAMPLE_RATE, WINDOW_SAMPLES / SAMPLE_RATE
        raise ConfigError(
            f"{name} is {told(seconds)}; give {least_samples / SAMPLE_RATE:g} to {longest_s:g}, "
            f"a multiple of {step_s:g} seconds"
        )
    return num_samples


def encode_windows(
    blocks: Iterable[np.ndarray],
    pads_windows: bool = True,
    window_samples: int = WINDOW_SAMPLES,
) -> Iterator[Window]:
    """Yield the windows of a recording that arrives in blocks; holds one window at a time.

    A full window carries the first samples of the next one (zeros at the end), because its last
    two frames reach there; the remainder is zero-padded.

    Args:
        blocks: mono samples at 16 kHz.
        pads_windows: pad the remainder to a whole window, whose last two frames stay empty;
            otherwise to a multiple of 0.32 s, with look-ahead. So are all windows that are shorter
            than 10.24 s.
        window_samples: length of a full window, see `steps_of`.
    """
    pads_all = pads_windows and window_samples < WINDOW_SAMPLES
    pending = np.zeros(0, dtype=np.float32)
    for block in blocks:
        pending = np.concatenate([pending, block])
        while len(pending) >= window_samples + LOOKAHEAD_SAMPLES:
            yield _full_window(pending, window_samples, pads_all)
            pending = pending[window_samples:]
    if len(pending) >= window_samples:
        yield _full_window(pending, window_samples, pads_all)
        pending = pending[window_samples:]
    if not len(pending):
        return
    padded_size = WINDOW_SAMPLES
    if not pads_windows:
        padded_size = -(-len(pending) // STEP_SAMPLES) * STEP_SAMPLES + LOOKAHEAD_SAMPLES
    yield Window(_zero_padded(pending, padded_size), len(pending), is_last=True)


def _full_window(pending: np.ndarray, window_samples: int, is_padded: bool) -> Window:
    if is_padded:
        wav = _zero_padded(pending[:window_samples], WINDOW_SAMPLES)
    else:
        size = window_samples + LOOKAHEAD_SAMPLES
        wav = _zero_padded(pending[:size], size)
    return Window(wav, window_samples, is_last=len(pending) == window_samples)


def _zero_padded(samples: np.ndarray, size: int) -> Float[Tensor, "1 S"]:
    padded = np.zeros(size, dtype=np.float32)
    padded[: len(samples)] = samples
    return torch.from_numpy(padded).unsqueeze(0)


def decode_ranges(num_positions: int, positions_per_window: int) -> list[tuple[int, int]]:
    """Return start and end position of every decode window, the last one cut to the codes."""
    hop = positions_per_window - positions_per_window // OVERLAP_FRACTION
    ranges = [(0, min(positions_per_window, num_positions))]
    while ranges[-1][1] < num_positions:
        start = ranges[-1][0] + hop
        ranges.append((start, min(start + positions_per_window, num_positions)))
    return ranges


def cross_faded(
    tail: Float[Tensor, " _T"], window: Float[Tensor, " _S"], overlap_samples: int
) -> Float[Tensor, " _S"]:
    """Return a window whose start is faded in while what came before it is faded out.

    Args:
        tail: the end of the window before, `overlap_samples` long.
        window: at least as long.
        overlap_samples: length of the linear cross-fade (paper Sec. IV-D).
    """
    fade_in = torch.linspace(0, 1, overlap_samples)
    joined = tail * fade_in.flip(0) + window[:overlap_samples] * fade_in
    return torch.cat([joined, window[overlap_samples:]])


def overlap_add(
    windows: Iterable[Float[Tensor, " _S"]],
    num_samples: int,
    hop_samples: int = HOP_SAMPLES,
    overlap_samples: int = OVERLAP_SAMPLES,
) -> Iterator[Float[Tensor, " _S"]]:
    """Yield the joined waveform block by block, `num_samples` in all, holding one overlap.

    Args:
        windows: decoded windows, each of `hop_samples + overlap_samples`.
        num_samples: exact length of the result; the last window is cut to it.
        hop_samples: distance between window starts.
        overlap_samples: length of the linear cross-fade (paper Sec. IV-D).
    """
    tail: Tensor | None = None
    remaining = num_samples
    for window in windows:
        if tail is not None:
            window = cross_faded(tail, window, overlap_samples)
        block = window[: min(hop_samples, remaining)]
        tail = window[hop_samples:]
        remaining -= len(block)
        yield block
    if tail is not None and remaining > 0:
        yield tail[:remaining]
