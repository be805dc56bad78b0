"""Write decoded sound while it is being decoded: 16-bit wav or flac, to a file or to stdout."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.outputs import write_as_it_comes, written_whole
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("wav", "flac")


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
    from semanticodec.audio.sound_file import open_sound_file
    from semanticodec.audio.streamed import to_int16, wav_bytes

    if sound_format == "wav":
        write_as_it_comes(target, wav_bytes(blocks, num_samples, sample_rate), replace=replace)
        return
    with (
        written_whole(target, replace=replace) as partial,
        open_sound_file(partial, sample_rate, 1, sound_format.upper()) as sound,
    ):
        for block in blocks:
            sound.write(to_int16(block))
