"""Sound files and arrays <-> 16 kHz mono waveforms, read and resampled in bounded memory."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.mpeg import tells_length
from semanticodec.audio.parts import MPEG, open_parts
from semanticodec.audio.sound_file import open_sound_file
from semanticodec.errors import AudioError
from semanticodec.files import atomic_path
from semanticodec.reading import Pieces, seekable, size_of

SAMPLE_RATE = 16_000
READ_SECONDS = 10
# Of a block: 10 s of stereo at 384 kHz, and more. A header may tell any rate and many channels.
MAX_BLOCK_VALUES = 1 << 23
# Hz. Nothing below is sound: a sample of 1 Hz would become 16 000, a file of 1 MB days.
LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000
UNKNOWN_FRAMES = 1 << 62  # libsndfile says even more where it does not know

AudioSource = str | os.PathLike[str] | bytes | BinaryIO


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


def check_rate(sample_rate: int, name: str) -> None:
    """Refuse files whose rate no recording has.

    Args:
        sample_rate: Hz that a file tells.
        name: of the file, in the message.
    Raises:
        AudioError: below 100 Hz or above 10 MHz.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise AudioError(
            f"{name} tells a sample rate of {sample_rate} Hz; {LOWEST_RATE} to {HIGHEST_RATE} Hz "
            "are possible: correct its header"
        )


@contextmanager
def opened(source: AudioSource) -> Iterator[tuple[BinaryIO, str]]:
    """Give a sound file, or a copy of what a pipe gives, opened for reading from any byte.

    Every way to hand over a sound file comes through here, so that all give the same samples.

    Args:
        source: path, bytes, or binary file object, which is read from where it stands.
    Yields:
        The file and what messages call it.
    Raises:
        AudioError: no such file, a folder, a text file, nothing in it.
    """
    name = _name_of(source)
    with ExitStack() as stack:
        if isinstance(source, (str, os.PathLike)):
            stream: BinaryIO = stack.enter_context(_open_path(source))
        else:
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
        file = _from_here(stream, name)
        if file is not stream:
            stack.callback(file.close)
        yield file, name


def _name_of(source: AudioSource) -> str:
    name = getattr(source, "name", None) if hasattr(source, "read") else source
    return os.fsdecode(name) if isinstance(name, (str, os.PathLike)) else "the audio stream"


def _open_path(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        problems = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder"}
        reason = getattr(error, "strerror", None) or str(error)
        problem = problems.get(type(error), f"cannot be opened ({reason})")
        raise AudioError(
            f"{os.fsdecode(path)} {problem}; give the path of a wav, flac, ogg or mp3 file"
        ) from error


def _from_here(stream: BinaryIO, name: str) -> BinaryIO:
    """Return what is still to be read of a stream, as a file of its own."""
    if isinstance(stream, io.TextIOBase):
        raise AudioError(f"{name} is open as text; open it with mode 'rb'")
    try:
        file = seekable(stream)
        start, size = file.tell(), size_of(file)
    except (OSError, ValueError, TypeError, AttributeError) as error:  # closed, no bytes, ...
        raise AudioError(f"{name} cannot be read ({error}); give a binary file") from error
    if start >= size:
        what = "is at its end; seek(0) before" if size else "is empty; give a sound file"
        raise AudioError(f"{name} {what}")
    return file if start == 0 else cast(BinaryIO, Pieces(file, [range(start, size)]))


def read_blocks(source: AudioSource, sample_rate: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """Yield the mono mix of a sound file block by block, float32 at `sample_rate`.

    Args:
        source: path, bytes or binary file object of any format that libsndfile reads; pipes too.
        sample_rate: Hz of the result.
    Raises:
        AudioError: not audio, damaged, or NaN among the samples.
    """
    with opened(source) as (file, name):
        is_open = False
        try:
            for sound in open_parts(file):
                is_open = True
                check_rate(sound.samplerate, name)
                blocks = _mono_blocks(sound.next_block, sound.frames, _block_frames(sound), name)
                yield from resample_blocks(blocks, sound.samplerate, sample_rate)
        except soundfile.SoundFileError as error:
            if is_open:
                raise _damaged(name, error) from error
            raise AudioError(
                f"{name} is not readable audio ({_reason(error)}); "
                "give a wav, flac, ogg or mp3 file"
            ) from error
        except OSError as error:
            raise AudioError(f"{name} cannot be read to its end ({error}); try again") from error


def _damaged(name: str, error: soundfile.SoundFileError) -> AudioError:
    return AudioError(f"{name} is damaged ({_reason(error)}); encode it again or repair it")


def _reason(error: soundfile.SoundFileError) -> object:
    """Return libsndfile's own words, without the file that soundfile puts before them."""
    return getattr(error, "error_string", error)


@contextmanager
def seekable_sound(source: AudioSource) -> Iterator[soundfile.SoundFile]:
    """Give a sound file that tells how many samples it has and can be read from any of them.

    Nearly always that is the file itself. Where it does not tell its length or begins with other
    bytes, it is a copy in memory: its mono mix at 16 kHz.

    Args:
        source: path or open file; see `read_blocks`.
    Raises:
        AudioError: see `read_blocks`.
    """
    with opened(source) as (file, name), ExitStack() as stack:
        try:
            sound = stack.enter_context(soundfile.SoundFile(file))
            is_usable = sound.seekable() and 0 < sound.frames < UNKNOWN_FRAMES
            is_usable &= sound.format != MPEG or tells_length(file)
        except soundfile.SoundFileError:
            is_usable = False
        if not is_usable:
            file.seek(0)
            copy = io.BytesIO()
            soundfile.write(copy, load_audio(file).numpy(), SAMPLE_RATE, "FLOAT", format="WAV")
            copy.seek(0)
            sound = stack.enter_context(soundfile.SoundFile(copy))
        check_rate(sound.samplerate, name)
        yield sound


def read_segment(
    source: AudioSource, start_s: float, duration_s: float | None = None
) -> Iterator[np.ndarray]:
    """Yield the mono mix of a part of a sound file block by block, float32 at 16 kHz.

    The part is cut at the file's own rate, from the nearest sample, and then resampled by itself;
    one that lasts beyond the end of the file ends there.

    Args:
        source: path, bytes or binary file object; see `read_blocks`.
        start_s: seconds before the part, 0 or more.
        duration_s: seconds of the part, more than 0; None: up to the file's end.
    Raises:
        AudioError: see `read_blocks`; or the file ends before the part begins.
    """
    with seekable_sound(source) as sound:
        rate = sound.samplerate
        start, end = round(start_s * rate), sound.frames
        name = _name_of(source)
        if start >= end:
            raise AudioError(
                f"{name} lasts {end / rate:g} s; a part from {start_s:g} s on lies behind its end"
            )
        if duration_s is not None:
            end = min(end, start + round(duration_s * rate))
        try:
            sound.seek(start)
            read = partial(sound.read, dtype="float32", always_2d=True)
            blocks = _mono_blocks(read, end - start, _block_frames(sound), name)
            yield from resample_blocks(blocks, rate)
        except soundfile.SoundFileError as error:
            raise _damaged(name, error) from error


def _block_frames(sound: soundfile.SoundFile) -> int:
    """Return how many samples of each channel are read at a time."""
    return max(1, min(READ_SECONDS * sound.samplerate, MAX_BLOCK_VALUES // sound.channels))


def _mono_blocks(
    next_block: Callable[[int], np.ndarray], num_frames: int, block_frames: int, name: str
) -> Iterator[np.ndarray]:
    remaining = num_frames
    while remaining > 0:
        block = next_block(min(block_frames, remaining))
        if not len(block):
            return
        remaining -= len(block)
        if not np.isfinite(block).all():
            raise AudioError(f"{name} holds NaN or infinite samples; replace them before encoding")
        yield block.mean(axis=1)


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
    kind = formats[target.suffix.lower()]
    with (
        atomic_path(target) as partial,
        open_sound_file(partial, sample_rate, samples.shape[1], kind) as sound,
    ):
        sound.write(samples)
