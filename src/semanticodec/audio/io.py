"""Sound files and arrays <-> 16 kHz mono waveforms, read and resampled in bounded memory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.errors import AudioError

SAMPLE_RATE = 16_000
READ_SECONDS = 10

AudioSource = str | os.PathLike[str] | bytes | BinaryIO


def _check_finite(block: np.ndarray, name: str) -> None:
    if not np.isfinite(block).all():
        raise AudioError(f"{name} holds NaN or infinite samples; replace them before encoding")


def resample_blocks(
    blocks: Iterable[np.ndarray], source_rate: int, sample_rate: int = SAMPLE_RATE
) -> Iterator[np.ndarray]:
    """Yield mono blocks at `sample_rate`, ceil(S * sample_rate / source_rate) samples in all.

    Args:
        blocks: consecutive float32 mono blocks at `source_rate`.
        source_rate: Hz, positive.
        sample_rate: Hz of the result; soxr's high-quality filter in between.
    """
    if source_rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32", quality="HQ")
    read = written = 0
    for block in blocks:
        read += len(block)
        resampled = stream.resample_chunk(block)
        written += len(resampled)
        yield resampled
    tail = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
    missing = -(-read * sample_rate // source_rate) - written
    yield np.pad(tail, (0, max(0, missing - len(tail))))[:missing]


def _open(source: AudioSource) -> tuple[soundfile.SoundFile, str]:
    name = str(source) if isinstance(source, (str, os.PathLike)) else "the audio stream"
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "does not exist"
            raise AudioError(f"{name} {kind}; give the path of a wav, flac, ogg or mp3 file")
    handle = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return soundfile.SoundFile(handle), name
    except (soundfile.SoundFileError, TypeError) as error:
        # libsndfile's own words, without the file that soundfile puts before them.
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"{name} is not readable audio ({reason}); give a wav, flac, ogg or mp3 file"
        ) from error


def read_blocks(source: AudioSource, sample_rate: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """Yield the mono mix of a sound file block by block, float32 at `sample_rate`.

    Args:
        source: path, bytes or binary file object of any format that libsndfile reads.
        sample_rate: Hz of the result.
    Raises:
        AudioError: not audio, damaged, or NaN among the samples.
    """
    sound, name = _open(source)

    def mono_blocks() -> Iterator[np.ndarray]:
        while True:
            block = sound.read(READ_SECONDS * sound.samplerate, dtype="float32", always_2d=True)
            if not len(block):
                return
            _check_finite(block, name)
            yield block.mean(axis=1)

    with sound:
        try:
            yield from resample_blocks(mono_blocks(), sound.samplerate, sample_rate)
        except soundfile.SoundFileError as error:
            raise AudioError(
                f"{name} is damaged ({error}); encode it again or repair it"
            ) from error


def load_audio(source: AudioSource, sample_rate: int = SAMPLE_RATE) -> Float[Tensor, " S"]:
    """Return the mono mix of a sound file as float32 in [-1, 1] at `sample_rate`.

    Args:
        source: path, bytes or binary file object of any format that libsndfile reads.
        sample_rate: Hz of the result.
    Raises:
        AudioError: not audio, damaged, or NaN among the samples.
    """
    blocks = list(read_blocks(source, sample_rate))
    wav = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(wav, dtype=np.float32))


def save_audio(path: str | os.PathLike[str], wav: Tensor, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a waveform [S] or [C, S] atomically as 16-bit wav or flac (by suffix).

    Raises:
        AudioError: the suffix names no format that can be written.
    """
    target = Path(path)
    formats = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
    if target.suffix.lower() not in formats:
        raise AudioError(
            f"{target.name} has the suffix '{target.suffix}'; use one of {', '.join(formats)}"
        )
    samples = wav.detach().float().cpu().reshape(-1, wav.shape[-1]).T.clamp(-1, 1).numpy()
    partial = target.with_name(f".{target.name}.partial")
    try:
        soundfile.write(partial, samples, sample_rate, format=formats[target.suffix.lower()])
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
