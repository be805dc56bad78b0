"""`semanticodec roundtrip`: encode and decode in one go, to hear and see what the codec keeps."""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path

from semanticodec.cli.decode import decoded_blocks
from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.cli.options import (
    add_decode_options,
    add_inputs,
    add_model_options,
    add_output_options,
    load_codec,
)
from semanticodec.cli.outputs import Task, check_free, check_no_input, is_taken, plan, written_whole
from semanticodec.cli.progress import watched_source
from semanticodec.cli.report import Result, outcome, run_each
from semanticodec.cli.sound import FORMATS, add_format_option, sound_format, write_sound
from semanticodec.cli.standard_streams import print_to_stderr
from semanticodec.errors import ConfigError
from semanticodec.files import is_stream

HELP = "encode and decode sound files, to hear and see what the codec keeps"
DESCRIPTION = """\
Encode and decode sound files, to hear what the codec keeps of them, and to see it with --plot.

  semanticodec roundtrip speech.wav                   writes speech.roundtrip.wav
  semanticodec roundtrip speech.wav -o out.wav --plot-output picture.png
  semanticodec roundtrip recordings/ -o out/ --plot   a picture beside every result
"""
PICTURE_SUFFIX = ".png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inputs(parser, "sound file")
    add_output_options(parser, "output file, folder or - for stdout (default: INPUT.roundtrip.wav)")
    add_format_option(parser)
    parser.add_argument(
        "--plot",
        action="store_true",
        help="also write a picture of the original, its codes and the decoded sound, "
        "beside each output file with the suffix .png",
    )
    parser.add_argument(
        "--plot-output", metavar="PNG", help="path of the picture, for a single input"
    )
    add_decode_options(parser)
    add_model_options(parser)


def with_plot_output(words: Sequence[str]) -> list[str]:
    """Return a command line with `--plot FILE.png`, its old form, as `--plot-output FILE.png`.

    What has another suffix is not a picture but an input, and is never overwritten by one.
    """
    if not words or words[0] != "roundtrip":
        return list(words)
    current: list[str] = []
    for word in words:
        is_picture = "--" not in current and word.lower().endswith(PICTURE_SUFFIX)
        if word.startswith("--plot=") and is_picture:
            current += ["--plot-output", word.removeprefix("--plot=")]
        elif current[-1:] == ["--plot"] and is_picture and not word.startswith("-"):
            current[-1:] = ["--plot-output", word]
        else:
            current.append(word)
            continue
        print_to_stderr(f"semanticodec: --plot {current[-1]} is now called --plot-output")
    return current


def run(args: argparse.Namespace) -> int:
    """Encode and decode every input and return the exit status."""
    kind = args.format or FORMATS[0]
    ending = f".roundtrip.{kind}" if args.output is None else f".{kind}"
    tasks = plan(expand(args.inputs, AUDIO_SUFFIXES, args.output), args.output, ending)
    pictures = _pictures(tasks, args)
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)

    from semanticodec.pictures.roundtrip import PlottedPart, draw_file

    def work(task: Task) -> Result:
        started = time.perf_counter()
        picture = pictures.get(task.item.name)
        if args.skip_existing and is_taken(picture):
            picture = None
        check_free(picture, args.overwrite)
        kind = sound_format(task.target, args.format)
        with task.item.opened() as file:
            with watched_source(task.item, file, not args.quiet) as source:
                codes = codec.encode(source)
            blocks = PlottedPart(decoded_blocks(codec, codes, args, task.item.name))
            length, sample_rate = codes.num_samples[0], codec.sample_rate
            write_sound(task.target, blocks, length, sample_rate, kind, replace=args.overwrite)
            if picture is not None:
                with written_whole(picture, replace=args.overwrite) as partial:
                    draw_file(partial, file, codes, blocks.samples(), task.item.name)
        stream = io.BytesIO()
        codes.save(stream)
        named = {} if picture is None else {"plot": str(picture)}
        return {**named, **outcome(codes, stream.tell(), time.perf_counter() - started)}

    return run_each(tasks, work, args, "encoded and decoded")


def _pictures(tasks: Sequence[Task], args: argparse.Namespace) -> dict[str, Path]:
    """Return the pictures to draw, by the names of their inputs."""
    if not args.plot and args.plot_output is None:
        return {}
    from semanticodec.pictures.figure import require_matplotlib

    require_matplotlib()
    pictures = {task.item.name: _picture(args.plot_output, task, len(tasks)) for task in tasks}
    check_no_input(tasks, pictures.values())
    results = {task.target and os.path.realpath(task.target) for task in tasks}
    for picture in pictures.values():
        if os.path.realpath(picture) in results:
            raise ConfigError(
                f"{picture} is the name of the picture and of a sound file; choose two"
            )
    return pictures


def _picture(wanted: str | None, task: Task, num_tasks: int) -> Path:
    if wanted is None:
        if task.target is None or is_stream(task.target):
            raise ConfigError("--plot has no output file to stand beside; say --plot-output PNG")
        return task.target.with_suffix(PICTURE_SUFFIX)
    if not wanted.lower().endswith(PICTURE_SUFFIX):
        raise ConfigError(f"{wanted} has no suffix {PICTURE_SUFFIX}; the picture is a PNG")
    if num_tasks > 1:
        raise ConfigError(f"one picture {wanted} for {num_tasks} inputs; say --plot instead")
    return Path(wanted)
