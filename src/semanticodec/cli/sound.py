"""Write decoded sound while it is being decoded: 16-bit wav or flac, to a file or to stdout."""

from __future__ import annotations

import argparse
import io
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.outputs import write_as_it_comes, written_whole
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FORMATS = ("wav", "flac")
PEAK = 32767
SAMPLE_BYTES = 2
# A wav's header has 32 bits for its size; players read on regardless.
LARGEST_NUM_SAMPLES = 0xFFFF_FF00 // SAMPLE_BYTES


def add_format_option(parser: argparse.ArgumentParser) -> None:
    """Add --format."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="format of the sound files (default: that of the output's suffix, else wav)",
    )


def sound_format(target: Path | None, wanted: str | None) -> str:
    """Return `wav` or `flac`: what the user asks for, or what the suffix says.

    Raises:
        ConfigError: a suffix of another format.
    """
    if wanted is not None or target is None:
        return wanted or FORMATS[0]
    name = target.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise ConfigError(f"{target} has no suffix .wav or .flac; give one, or say --format")
    return name


def write_sound(
    target: Path | None,
    blocks: Iterable[Tensor],
    num_samples: int,
    sample_rate: int,
    sound_format: str,
    *,
    replace: bool = True,
) -> None:
    """Write blocks [..., S] of float samples in [-1, 1] as they come.

    Args:
        target: the file, which appears when it is whole; a pipe or device, or None for stdout,
            which get a wav block by block.
        blocks: consecutive blocks, `num_samples` in all.
        num_samples: length in the header of a wav, written before the samples are there.
        sample_rate: samples per second, in Hz.
        sound_format: `wav` or `flac`.
        replace: whether a file that exists by the end is replaced.
    Raises:
        OutputExistsError: there is such a file, and `replace` is false.
        OutputError: the sound cannot be written.
    """
    if sound_format == "wav":
        write_as_it_comes(target, _wav_bytes(blocks, num_samples, sample_rate), replace=replace)
        return
    from semanticodec.audio.sound_file import open_sound_file

    with (
        written_whole(target, replace=replace) as partial,
        open_sound_file(partial, sample_rate, 1, sound_format.upper()) as sound,
    ):
        for block in blocks:
            sound.write(_to_int16(block))


def _wav_bytes(blocks: Iterable[Tensor], num_samples: int, sample_rate: int) -> Iterator[bytes]:
    """Yield a wav file piece by piece; nothing is corrected later, as a pipe could not be."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as sound:
        sound.setparams((1, SAMPLE_BYTES, sample_rate, 0, "NONE", "not compressed"))
        sound.setnframes(min(num_samples, LARGEST_NUM_SAMPLES))
        sound.writeframesraw(b"")
        yield memory.getvalue()
    for block in blocks:
        yield _to_int16(block).astype("<i2").tobytes()


def _to_int16(block: Tensor) -> np.ndarray:
    import numpy as np

    samples = block.detach().cpu().numpy().reshape(-1)
    return np.round(np.clip(samples, -1, 1) * PEAK).astype(np.int16)
