"""What users give as audio -> recordings: names and blocks of mono samples at 16 kHz.

path, bytes, file object      one recording, read block by block (`audio.io`)
[S]                           one recording
[1, S], [2, S]                one recording of one or two channels
[B, C, S]                     B recordings of C channels
list of these                 their recordings in order; a list of floats is one [S]
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from semanticodec.audio.io import (
    HIGHEST_RATE,
    LOWEST_RATE,
    AudioSource,
    read_blocks,
    resample_blocks,
)
from semanticodec.errors import AudioError, told
from semanticodec.token_format import SAMPLE_RATE

# More are no channels: an axis of samples or of recordings in the wrong place.
MAX_CHANNELS = 64
# In a 2-D array, more rows could as well be recordings.
MAX_ROWS = 2
# Floats are meant to lie in [-1, 1]; this is 40 dB above it, and 8-bit integers reach 128.
LARGEST_FLOAT = 100.0
# numpy knows neither bfloat16 nor 8-bit floats.
NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
# Samples in 32 bits that never leave the range of 16 bits lie 90 dB below full scale.
RANGE_16_BITS = 2**15

Audio = AudioSource | np.ndarray | Tensor | list | tuple
FORMS = "give a path, an array, a tensor, or a list of these"


class Recording(NamedTuple):
    """One recording, read as its blocks are asked for.

    Attributes:
        name: name in messages.
        blocks: consecutive mono samples at 16 kHz, float32.
    """

    name: str
    blocks: Iterable[np.ndarray]


def recordings(
    audio: Audio, sample_rate: int | None = None, name: str = "audio"
) -> Iterator[Recording]:
    """Yield every recording in `audio`, files without loading them.

    Args:
        audio: recordings in any of the forms at the head of this file.
        sample_rate: Hz of arrays and lists of numbers (default 16 000); files state their own.
        name: name of `audio` in messages; its parts are called `audio[0]` and so on.
    Raises:
        AudioError: wrong shape or type, no recordings, NaN, or an unreadable file.
    """
    rate = _checked_rate(sample_rate)
    if isinstance(audio, (str, os.PathLike)):
        yield Recording(str(audio), read_blocks(audio))
    elif is_file(audio):
        yield Recording("the audio stream", read_blocks(audio))  # type: ignore[arg-type]
    elif isinstance(audio, (np.ndarray, Tensor)):
        yield from _array_recordings(_to_numpy(audio, name), rate, name)
    elif not isinstance(audio, (list, tuple)):
        where = "" if name == "audio" else f"{name}: "
        raise AudioError(f"{where}{type(audio).__name__} is not audio; {_hint(audio)}")
    elif not audio:
        raise AudioError("an empty list holds no audio; give at least one item")
    elif all(isinstance(item, Real) for item in audio):
        yield from _array_recordings(_numbers(audio, name), rate, name)
    else:
        if isinstance(audio, tuple) and any(isinstance(item, Real) for item in audio):
            raise AudioError(
                f"{name} is a tuple with a number; give a sample rate apart from the samples: "
                "encode(samples, sample_rate=rate)"
            )
        for index, item in enumerate(audio):
            yield from recordings(item, sample_rate, f"{name}[{index}]")


def live_recording(
    blocks: Iterable[np.ndarray | Tensor], sample_rate: int | None = None
) -> Recording:
    """Return a recording that is made while it is encoded, block by block.

    Args:
        blocks: consecutive samples [S] or [1 or 2 channels, S], of any lengths.
        sample_rate: their Hz (default 16 000).
    Raises:
        AudioError: not a rate; while blocks are read, also a wrong shape or type, or NaN.
    """
    rate = _checked_rate(sample_rate)
    try:
        blocks = iter(blocks)
    except TypeError as error:
        raise AudioError(
            f"the stream is {told(blocks)}; give blocks of samples: a list, a generator ..."
        ) from error
    mono = (_mono_block(block, f"blocks[{index}]") for index, block in enumerate(blocks))
    return Recording("the stream", resample_blocks(mono, rate))


def _mono_block(block: np.ndarray | Tensor, name: str) -> np.ndarray:
    if not isinstance(block, (np.ndarray, Tensor)):
        raise AudioError(
            f"{name} is of type {type(block).__name__}; give arrays of samples, [S] or "
            "[channels, S]"
        )
    samples = _to_numpy(block, name)
    _check_shape(samples.shape, name)
    if samples.ndim == 3:
        raise AudioError(
            f"{name} has the shape {samples.shape}; a stream is one recording: give [S] or "
            "[channels, S]"
        )
    return _mono(samples, name)


def is_file(audio: object) -> bool:
    """Return whether `audio` names or holds a sound file rather than samples."""
    return isinstance(audio, (str, os.PathLike, bytes)) or hasattr(audio, "read")


def _checked_rate(sample_rate: int | None) -> int:
    if sample_rate is None:
        return SAMPLE_RATE
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    is_possible = is_number and LOWEST_RATE <= sample_rate <= HIGHEST_RATE
    if not is_possible or not float(sample_rate).is_integer():
        raise AudioError(
            f"a sample rate of {told(sample_rate)} Hz is impossible; give a whole number from "
            f"{LOWEST_RATE} to {HIGHEST_RATE}"
        )
    return int(sample_rate)


def _hint(audio: object) -> str:
    if isinstance(audio, Mapping):
        return "give its array, and its rate as sample_rate"
    return FORMS


def _numbers(audio: list | tuple, name: str) -> np.ndarray:
    """Return a list of samples as an array; whole numbers in it say nothing of their width."""
    if all(isinstance(sample, (int, np.integer)) for sample in audio) and any(audio):
        raise AudioError(
            f"{name} is a list of integers, whose width nobody knows; give "
            "np.array(samples, dtype=np.int16), or floats from -1 to 1"
        )
    return np.asarray(audio, dtype=np.float64)


def _to_numpy(audio: np.ndarray | Tensor, name: str) -> np.ndarray:
    if not isinstance(audio, Tensor):
        return audio
    is_meta = audio.device.type == "meta"
    if audio.layout != torch.strided or audio.is_quantized or audio.is_nested or is_meta:
        kind = "on the device meta" if is_meta else "sparse, nested or quantized"
        raise AudioError(f"{name} is a tensor {kind}; give a dense one with samples in it")
    tensor = audio.detach()
    if tensor.is_floating_point() and tensor.dtype not in NUMPY_FLOATS:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().cpu().numpy()


def _array_recordings(samples: np.ndarray, source_rate: int, name: str) -> Iterator[Recording]:
    _check_shape(samples.shape, name)
    if samples.ndim == 3:
        for index, item in enumerate(samples):
            part = f"{name}[{index}]"
            yield Recording(part, _blocks(item, source_rate, part))
    else:
        yield Recording(name, _blocks(samples, source_rate, name))


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    """Refuse shapes that mean nothing, or could mean two things."""
    if len(shape) not in (1, 2, 3):
        raise AudioError(
            f"{name} has the shape {shape}; give [samples], [1 or 2 channels, samples] or "
            "[batch, channels, samples]"
        )
    if 0 in shape[:-1]:
        raise AudioError(f"{name} has the shape {shape}: no recording is in it")
    if len(shape) == 1:
        return
    channels, num_samples = shape[-2:]
    if len(shape) == 3:
        if channels > MAX_CHANNELS or channels > max(num_samples, MAX_ROWS):
            raise AudioError(
                f"{name} has the shape {shape}, {channels} channels of {num_samples} samples; "
                "[batch, channels, samples] is expected (transposed?): give "
                "wav.swapaxes(1, 2) if its samples come before the channels"
            )
    elif channels > MAX_ROWS and channels > num_samples:
        raise AudioError(
            f"{name} has the shape {shape}, {channels} channels of {num_samples} samples "
            "(transposed?); soundfile's [samples, channels] is given as wav.T, or as wav.T[None] "
            f"with more than {MAX_ROWS} channels"
        )
    elif channels > MAX_ROWS:
        raise AudioError(
            f"{name} has the shape {shape}, which could be {channels} recordings or one of "
            f"{channels} channels; give wav[:, None] (a batch [{channels}, 1, {num_samples}]) or "
            f"wav[None] (one recording [1, {channels}, {num_samples}])"
        )


def _blocks(samples: np.ndarray, source_rate: int, name: str) -> Iterator[np.ndarray]:
    """Yield the mono mix of [S] or [C, S] at 16 kHz."""
    yield from resample_blocks([_mono(samples, name)], source_rate)


def _mono(samples: np.ndarray, name: str) -> np.ndarray:
    """Return the float32 mono mix of [S] or [C, S]."""
    scaled = _to_float(samples, name)
    return np.ascontiguousarray(scaled if scaled.ndim == 1 else scaled.mean(axis=0))


def _to_float(samples: np.ndarray, name: str) -> np.ndarray:
    """Return samples in float32, integers scaled to [-1, 1); refuse what cannot be samples."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype.kind == "i" and samples.dtype.itemsize <= 4:
        if samples.dtype.itemsize == 4:
            _warn_of_narrow(samples, name)
        return (samples / float(-int(np.iinfo(samples.dtype).min))).astype(np.float32)
    if not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"{name} has samples of type {samples.dtype}; give floats from -1 to 1, int16, int32 "
            "or uint8, each with its full range"
        )
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds NaN or infinite samples; replace them before encoding")
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > LARGEST_FLOAT:
        raise AudioError(
            f"{name} has floats up to {peak:g}; they are expected from -1 to 1: divide them by "
            "the full scale, 32768 for 16-bit values"
        )
    return samples.astype(np.float32)


def _warn_of_narrow(samples: np.ndarray, name: str) -> None:
    peak = int(np.abs(samples.astype(np.int64)).max(initial=0))
    if 0 < peak < RANGE_16_BITS:
        warnings.warn(
            f"{name} has int32 samples within {peak}, which is next to silence in 32 bits; if they "
            "are 16-bit values, give them as int16",
            stacklevel=2,
        )
