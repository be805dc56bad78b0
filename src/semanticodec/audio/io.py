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

from semanticodec.audio.sound_file import open_sound_file
from semanticodec.errors import AudioError
from semanticodec.files import atomic_path

SAMPLE_RATE = 16_000
READ_SECONDS = 10
MAX_CHANNELS = 64

AudioSource = str | os.PathLike[str] | bytes | BinaryIO
Audio = AudioSource | np.ndarray | Tensor | list


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


def _to_float(samples: np.ndarray) -> np.ndarray:
    """Scale integer PCM to [-1, 1); pass floats through as float32."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(samples.dtype, np.signedinteger):
        return (samples / float(-int(np.iinfo(samples.dtype).min))).astype(np.float32)
    if np.issubdtype(samples.dtype, np.floating):
        return samples.astype(np.float32)
    raise AudioError(
        f"samples of type {samples.dtype} are not audio; give float, int16, int32 or uint8"
    )


def _mono(samples: np.ndarray) -> np.ndarray:
    channels, num_samples = samples.shape
    if channels > MAX_CHANNELS or channels > max(num_samples, 2):
        raise AudioError(
            f"an array of shape {samples.shape} has {channels} channels; "
            f"at most {MAX_CHANNELS} are taken, as [channels, samples] (transposed?)"
        )
    return samples.mean(axis=0)


def waveforms(audio: Audio, sample_rate: int | None = None) -> list[Float[Tensor, " S"]]:
    """Return every item of `audio` as a float32 mono waveform at 16 kHz on the CPU.

    Args:
        audio: a path; an array or tensor [S], [C, S] or [B, C, S]; or a list of these.
        sample_rate: Hz of arrays (default 16 000); files state their own.
    Raises:
        AudioError: wrong shape or type, no items, NaN, or an unreadable file.
    """
    if isinstance(audio, (list, tuple)):
        if not audio:
            raise AudioError("an empty list holds no audio; give at least one item")
        if isinstance(audio[0], (int, float)):
            return waveforms(np.asarray(audio, dtype=np.float32), sample_rate)
        return [wav for item in audio for wav in waveforms(item, sample_rate)]
    if isinstance(audio, (np.ndarray, Tensor)):
        return _array_waveforms(_to_numpy(audio), sample_rate or SAMPLE_RATE)
    if is_path(audio):
        return [load_audio(audio)]
    raise AudioError(
        f"{type(audio).__name__} is not audio; give a path, an array, a tensor, or a list of these"
    )


def recordings(audio: Audio, sample_rate: int | None = None) -> Iterator[Iterable[np.ndarray]]:
    """Yield every item of `audio` as blocks of mono 16 kHz samples, files without loading them.

    Args:
        audio: as `waveforms` takes it.
        sample_rate: Hz of arrays (default 16 000); files state their own.
    Raises:
        AudioError: see `waveforms`.
    """
    if isinstance(audio, (list, tuple)) and any(is_path(item) for item in audio):
        for item in audio:
            yield from recordings(item, sample_rate)
    elif is_path(audio):
        yield read_blocks(audio)  # type: ignore[arg-type]
    else:
        for wav in waveforms(audio, sample_rate):
            yield [wav.numpy()]


def is_path(audio: object) -> bool:
    """Return whether `audio` names or holds a sound file rather than samples."""
    return isinstance(audio, (str, os.PathLike, bytes)) or hasattr(audio, "read")


def _to_numpy(audio: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(audio, Tensor):
        # numpy knows no bfloat16.
        tensor = audio.detach().cpu()
        return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
    return audio


def _array_waveforms(samples: np.ndarray, source_rate: int) -> list[Tensor]:
    if source_rate <= 0:
        raise AudioError(f"a sample rate of {source_rate} Hz is impossible; give a positive rate")
    if samples.ndim == 3:
        return [wav for item in samples for wav in _array_waveforms(item, source_rate)]
    if samples.ndim not in (1, 2):
        raise AudioError(
            f"an array of shape {samples.shape} is not audio; "
            "give [samples], [channels, samples] or [batch, channels, samples]"
        )
    scaled = _to_float(samples)
    _check_finite(scaled, "the array")
    mono = scaled if scaled.ndim == 1 else _mono(scaled)
    blocks = list(resample_blocks([np.ascontiguousarray(mono)], source_rate))
    return [torch.from_numpy(np.concatenate(blocks))]


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
    kind = formats[target.suffix.lower()]
    with (
        atomic_path(target) as partial,
        open_sound_file(partial, sample_rate, samples.shape[1], kind) as sound,
    ):
        sound.write(samples)
