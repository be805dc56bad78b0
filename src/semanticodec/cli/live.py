"""Sound on stdin that is encoded while it comes; it may never end."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from semanticodec.cli.inputs import STDIO, Input
from semanticodec.cli.options import positive_int
from semanticodec.cli.outputs import stdout_errors, written_whole
from semanticodec.cli.report import Result, sizes
from semanticodec.errors import ConfigError
from semanticodec.files import is_stream, open_stream, output_errors

if TYPE_CHECKING:
    import numpy as np

    from semanticodec import Codes, SemantiCodec
    from semanticodec.container.framing import PayloadCoder


class LiveSound(NamedTuple):
    """Sound that is read as it comes.

    Attributes:
        blocks: samples [C, S].
        sample_rate: Hz.
    """

    blocks: Iterator[np.ndarray]
    sample_rate: int


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of live sound."""
    group = parser.add_argument_group("live sound on stdin")
    group.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="length of the windows that are written one by one, a multiple of 0.32 (default: "
        "10.24); short ones come sooner and sound worse",
    )
    group.add_argument(
        "--raw-rate",
        type=positive_int,
        metavar="HZ",
        help="stdin holds 16-bit little-endian PCM of this rate, without a header",
    )
    group.add_argument(
        "--raw-channels", type=positive_int, metavar="N", help="its channels (default: 1)"
    )


def check_live_options(args: argparse.Namespace, items: Sequence[Input]) -> None:
    """Refuse options of live sound where stdin is not read, or without others.

    Raises:
        ConfigError: see above.
    """
    has_stdin = any(item.path is None for item in items)
    for name in ("window", "raw_rate", "raw_channels"):
        if getattr(args, name) is not None and not has_stdin:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} is for live sound on stdin; give - as input")
    if args.raw_channels is not None and args.raw_rate is None:
        raise ConfigError("--raw-channels is of raw PCM; say its rate too, with --raw-rate")


def live_sound(item: Input, args: argparse.Namespace) -> tuple[LiveSound | None, Input]:
    """Return an input as live sound, if it is any, and the input with what was read of it.

    Args:
        item: any input.
        args: options of `add_live_options`.
    Raises:
        ConfigError: `--window` for sound that is read to its end first.
    """
    from semanticodec.audio.live import RawFormat, raw_blocks, read_endless_wav_header

    if item.path is not None:
        return None, item
    stream = sys.stdin.buffer
    if args.raw_rate is not None:
        format = RawFormat(channels=args.raw_channels or 1, sample_rate=args.raw_rate)
        return LiveSound(raw_blocks(stream, format), format.sample_rate), item
    format, read = (None, b"") if stream.seekable() else read_endless_wav_header(stream)
    if format is not None:
        return LiveSound(raw_blocks(stream, format, read), format.sample_rate), item
    if args.window is not None:
        raise ConfigError(
            "--window is for live sound; pipe raw PCM (--raw-rate) or WAV of unknown length into "
            f"{STDIO}, or leave it out"
        )
    return None, replace(item, start=read)


def encode_live(
    codec: SemantiCodec,
    sound: LiveSound,
    target: Path | None,
    args: argparse.Namespace,
    coder: PayloadCoder | None,
) -> Result:
    """Write the codes of every window as soon as they are complete; return what was written.

    Args:
        codec: codec that encodes.
        sound: sound to its end, if it has one.
        target: file or pipe for the codes; None for stdout. A file appears at the end.
        args: options of `add_live_options`, and `overwrite`.
        coder: what entropy-codes the blocks; None: they stay plain.
    Raises:
        ConfigError: no such window.
        AudioError: shorter than 25 ms.
    """
    from semanticodec.container import Header, Writer

    started = time.perf_counter()
    options = {} if args.window is None else {"window_s": args.window}
    found = codec.encode_stream(sound.blocks, sound.sample_rate, **options)
    found = chain([next(found)], found)  # nothing is written before there are codes
    tables = None if coder is None else coder.tables
    header = Header(codec.format, fingerprint=codec.model_fingerprint, tables=tables)
    num_positions = num_samples = 0
    with _opened(target, args.overwrite) as file:
        counted = _Counted(file)
        with Writer(cast(BinaryIO, counted), header, coder) as writer:
            for codes in _watched(found, codec.sample_rate, not args.quiet):
                writer.write_block(codes.semantic[0].cpu().numpy(), codes.acoustic[0].cpu().numpy())
                num_positions += codes.num_positions[0]
                num_samples += codes.num_samples[0]
            num_bytes = counted.num_bytes  # before the header is written again
            writer.close(num_samples)
    seconds = num_samples / codec.sample_rate
    return sizes(seconds, num_positions, num_bytes, time.perf_counter() - started)


def _watched(found: Iterator[Codes], sample_rate: int, shown: bool) -> Iterator[Codes]:
    """Yield codes of windows, with a progress line of their seconds if `shown`."""
    from semanticodec.progress import SECOND, ProgressBar

    with ProgressBar(unit=SECOND, shown=shown, has_summary=False) as bar:
        for codes in found:
            yield codes
            bar.update(codes.num_samples[0] / sample_rate)


class _Counted:
    """A file for writing that counts its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.num_bytes = 0

    def write(self, data: bytes) -> int | None:
        """Write as the file does."""
        count = self._file.write(data)
        self.num_bytes += len(data) if count is None else count
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _opened(target: Path | None, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a binary file for codes: stdout, a pipe, or a file that appears at the end."""
    if target is None:
        with stdout_errors():
            yield sys.stdout.buffer
    elif is_stream(target):
        with output_errors(target), open_stream(target) as stream:
            yield stream
    else:
        with written_whole(target, replace=overwrite) as partial, partial.open("wb") as file:
            yield file
