"""`semanticodec roundtrip`: encode and decode in one go, to hear and see what the codec keeps."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from semanticodec.cli.decode import decoded_blocks
from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.cli.options import (
    add_decode_options,
    add_model_options,
    add_output_options,
    load_codec,
)
from semanticodec.cli.outputs import Task, check_free, plan, written_whole
from semanticodec.cli.progress import is_watched, watched_source
from semanticodec.cli.report import Result, describe_coded, run_each, sizes
from semanticodec.cli.sound import FORMATS, sound_format, write_sound
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from semanticodec import Codes
    from semanticodec.cli.options import Subparsers

DESCRIPTION = """\
Encode and decode sound files: hear what is left of them, and see it with --plot.

  semanticodec roundtrip speech.wav                   writes speech.roundtrip.wav
  semanticodec roundtrip speech.wav -o out.wav --plot picture.png
  semanticodec roundtrip recordings/ -o out/ --plot   a picture beside every result
"""
BESIDE_RESULT = ""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        "roundtrip",
        help="encode and decode, to hear and see what the codec keeps",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="file, glob, folder or -")
    add_output_options(parser, "default: beside the input, ending in .roundtrip.wav; - is stdout")
    parser.add_argument(
        "--format", choices=FORMATS, help="default: what the output's suffix says, else wav"
    )
    parser.add_argument(
        "--plot",
        nargs="?",
        const=BESIDE_RESULT,
        metavar="PNG",
        help="draw original, codes and reconstruction; without a name beside the result",
    )
    add_decode_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Encode and decode every input and return the exit status."""
    kind = args.format or FORMATS[0]
    ending = f".roundtrip.{kind}" if args.output is None else f".{kind}"
    tasks = plan(expand(args.inputs, AUDIO_SUFFIXES, args.output), args.output, ending)
    pictures = {task.item.name: _picture_path(args.plot, task, len(tasks)) for task in tasks}
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)

    def work(task: Task) -> Result:
        started = time.perf_counter()
        picture = pictures[task.item.name]
        check_free(picture, args.overwrite)
        kind = sound_format(task.target, args.format)
        with task.item.opened() as file:
            with watched_source(task.item, file, is_watched(args.quiet)) as source:
                codes = codec.encode(source)
            heard = Heard(decoded_blocks(codec, codes, args, task.item.name))
            write_sound(task.target, heard, codes.num_samples[0], codec.sample_rate, kind)
            if picture is not None:
                _draw(picture, file, codes, heard.start(), task.item.name)
        stream = io.BytesIO()
        codes.save(stream)
        return {
            "input": task.item.name,
            "output": task.target_name,
            **({} if picture is None else {"plot": str(picture)}),
            **sizes(codes, stream.tell()),
            "elapsed_s": round(time.perf_counter() - started, 3),
        }

    return run_each(tasks, work, describe_coded, args)


def _picture_path(wanted: str | None, task: Task, num_tasks: int) -> Path | None:
    if wanted is None:
        return None
    if wanted != BESIDE_RESULT:
        if num_tasks > 1:
            raise ConfigError(
                f"one picture {wanted} for {num_tasks} inputs; say --plot without a name"
            )
        return Path(wanted)
    if task.target is None:
        raise ConfigError("--plot has no result on disk to stand beside; give it a name")
    return task.target.with_suffix(".png")


class Heard:
    """Blocks that pass through, of which the part that a picture shows is kept."""

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self._blocks = blocks
        self._kept: list[Tensor] = []

    def __iter__(self) -> Iterator[Tensor]:
        from semanticodec.cli.plot import MAX_SAMPLES

        room = MAX_SAMPLES
        for block in self._blocks:
            if room > 0:
                self._kept.append(block[..., :room])
                room -= block.shape[-1]
            yield block

    def start(self) -> Tensor:
        """Return the kept samples, one row."""
        import torch

        return torch.cat(self._kept, dim=-1).reshape(-1)


def _draw(picture: Path, file: BinaryIO, codes: Codes, heard: Tensor, name: str) -> None:
    """Draw the start of the original in `file`, its codes and the reconstruction."""
    import numpy as np

    from semanticodec.audio.io import read_blocks
    from semanticodec.cli.plot import MAX_SAMPLES, draw_roundtrip

    file.seek(0)
    blocks, room = [], MAX_SAMPLES
    for block in read_blocks(file):
        blocks.append(block[:room])
        room -= len(block)
        if room <= 0:
            break
    with written_whole(picture) as partial:
        draw_roundtrip(partial, np.concatenate(blocks), codes, heard.numpy(), Path(name).name)
