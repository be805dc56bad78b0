"""`semanticodec encode`: sound files to `.smtc` files."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from semanticodec.cli.ahead import Coded, encode_ahead
from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.cli.live import add_live_options, check_live_options, encode_live, live_sound
from semanticodec.cli.options import (
    add_inputs,
    add_model_options,
    add_output_options,
    load_codec,
    positive_int,
)
from semanticodec.cli.outputs import Task, plan, written_whole
from semanticodec.cli.progress import watched_source
from semanticodec.cli.report import Result, is_skipped, outcome, run_each
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

HELP = "encode sound files to .smtc files"
DESCRIPTION = """\
Encode sound files (wav, flac, ogg, opus, mp3; any rate, any channels) to .smtc files.

  semanticodec encode speech.wav                      writes speech.smtc
  semanticodec encode recordings/ -o codes/           every sound file below a folder
  semanticodec encode "*.flac" -o codes/ --skip-existing
  semanticodec encode speech.wav --entropy            smaller, the same codes
  semanticodec encode speech.wav --refine 25          slower, better sound at the same rate
  cat speech.wav | semanticodec encode - > speech.smtc
  arecord -f S16_LE -r 16000 -t wav | semanticodec encode - --window 0.64 > live.smtc
  ffmpeg -i rtsp://camera -f s16le -ar 48000 -ac 2 - |
    semanticodec encode - --raw-rate 48000 --raw-channels 2 | ...

WAV of unknown length and raw PCM on stdin are encoded while they come: every window of codes is
written as soon as it is complete.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inputs(parser, "sound file")
    add_output_options(parser, "output file, folder or - for stdout (default: INPUT.smtc)")
    add_live_options(parser)
    parser.add_argument(
        "--entropy",
        action="store_true",
        help="entropy-code the file, with the tables of the model, which decoding needs too",
    )
    parser.add_argument(
        "--refine",
        type=positive_int,
        metavar="N",
        help="search in N steps for acoustic codes that decode to something nearer to the "
        "recording; 8 bring most of it, 25 are enough",
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Encode every input and return the exit status."""
    tasks = plan(expand(args.inputs, AUDIO_SUFFIXES), args.output, ".smtc")
    check_live_options(args, [task.item for task in tasks])
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    coder = codec.entropy_coder if args.entropy else None

    joined = [] if args.refine else [task for task in tasks if not is_skipped(task, args)]
    ahead = encode_ahead(codec, joined)

    def work(task: Task) -> Result:
        sound, item = live_sound(task.item, args)
        if sound is not None:
            if args.refine:
                raise ConfigError("--refine is for recordings that end; live sound cannot wait")
            return encode_live(codec, sound, task.target, args, coder)
        task = replace(task, item=item)
        coded = ahead.take(task) or _encode_alone(codec, task, args)
        with written_whole(task.target, replace=args.overwrite) as partial:
            with partial.open("wb") as file:
                coded.codes.save(file, coder=coder)
            num_bytes = partial.stat().st_size
        return outcome(coded.codes, num_bytes, coded.elapsed_s)

    return run_each(tasks, work, args, "encoded")


def _encode_alone(codec: SemantiCodec, task: Task, args: argparse.Namespace) -> Coded:
    started = time.perf_counter()
    with task.item.opened() as file:
        with watched_source(task.item, file, not args.quiet) as source:
            codes = codec.encode(source)
        if args.refine:
            file.seek(0)
            with watched_source(task.item, file, not args.quiet) as source:
                codes = codec.refine(codes, source, num_steps=args.refine)
    return Coded(codes, time.perf_counter() - started)
