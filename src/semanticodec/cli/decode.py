"""`semanticodec decode`: `.smtc` files to sound files."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from semanticodec.cli.ahead import Coded, decode_ahead
from semanticodec.cli.inputs import CODE_SUFFIXES, Input, expand
from semanticodec.cli.options import (
    add_decode_options,
    add_inputs,
    add_model_options,
    add_output_options,
    load_codec,
    sampling_options,
)
from semanticodec.cli.outputs import Task, plan
from semanticodec.cli.progress import watched_blocks
from semanticodec.cli.report import (
    Result,
    is_skipped,
    outcome,
    print_warning,
    run_each,
)
from semanticodec.cli.sound import FORMATS, add_format_option, sound_format, write_sound

if TYPE_CHECKING:
    from torch import Tensor

    from semanticodec import Codes, SemantiCodec
    from semanticodec.container.entropy import EntropyCoder

HELP = "decode .smtc files to sound files"
DESCRIPTION = """\
Decode .smtc files to 16-bit wav or flac at 16 kHz. The model is the one that encoded them; token
rate and vocabulary stand in the file.

  semanticodec decode speech.smtc -o speech.wav
  semanticodec decode codes/ -o decoded/ --format flac
  semanticodec decode speech.smtc -o - | aplay
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inputs(parser, ".smtc file")
    add_output_options(parser, "output file, folder or - for stdout (default: INPUT.wav)")
    add_format_option(parser)
    parser.add_argument(
        "--conceal",
        action="store_true",
        help="conceal damaged blocks by repeating the last good column of codes",
    )
    add_decode_options(parser)
    add_model_options(parser, choose_rate=False)


def run(args: argparse.Namespace) -> int:
    """Decode every input and return the exit status."""
    tasks = plan(expand(args.inputs, CODE_SUFFIXES), args.output, f".{args.format or FORMATS[0]}")

    @cache
    def codec_of(token_rate: int, semantic_vocab_size: int) -> SemantiCodec:
        return load_codec(args, token_rate, semantic_vocab_size)

    @cache
    def coder_of(token_rate: int, semantic_vocab_size: int) -> EntropyCoder:
        return codec_of(token_rate, semantic_vocab_size).entropy_coder

    def decode_batch(codes: Codes) -> Tensor:
        codec = codec_of(codes.token_rate, codes.semantic_vocab_size)
        options = decode_options(args)
        if args.batch_size is None:
            settings = codec.sampling(**sampling_options(args))
            options["batch_size"] = codec.decoder.windows_at_once(settings)
        return codec.decode(codes, **options)

    # Damaged files go alone, each with its warnings.
    waiting = [task for task in tasks if not (args.conceal or is_skipped(task, args))]
    ahead = decode_ahead(
        waiting, lambda task: _read_codes(task.item, False, coder_of), decode_batch
    )

    def work(task: Task) -> Result:
        started = time.perf_counter()
        kind = sound_format(task.target, args.format)
        done = ahead.take(task)
        codes, _, num_bytes, wav = done or _read_codes(task.item, args.conceal, coder_of)
        codec = codec_of(codes.token_rate, codes.semantic_vocab_size)
        blocks = decoded_blocks(codec, codes, args, task.item.name) if wav is None else [wav]
        length, sample_rate = codes.num_samples[0], codec.sample_rate
        write_sound(task.target, blocks, length, sample_rate, kind, replace=args.overwrite)
        elapsed_s = done.elapsed_s if done else time.perf_counter() - started
        return outcome(codes, num_bytes, elapsed_s)

    return run_each(tasks, work, args, "decoded")


def decode_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the decode options ask of `SemantiCodec.decode`."""
    return {**sampling_options(args), "seed": args.seed, "batch_size": args.batch_size}


def decoded_blocks(
    codec: SemantiCodec, codes: Codes, args: argparse.Namespace, label: str
) -> Iterator[Tensor]:
    """Yield the samples of `codes` as the decode options ask for them, behind a progress bar."""
    blocks = codec.decode_stream(codes, **decode_options(args))
    shown = not args.quiet
    return watched_blocks(blocks, codes.num_samples[0], codec.sample_rate, label, shown)


def _read_codes(item: Input, conceal: bool, coder_of: Callable[[int, int], EntropyCoder]) -> Coded:
    """Return the codes of one input and its size in bytes; say what had to be concealed."""
    from semanticodec import Codes
    from semanticodec.container import read_header

    with item.opened() as file, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        header = read_header(file)
        file.seek(0)
        coder = None
        if header.tables is not None:
            coder = coder_of(header.token_rate, header.semantic_vocab_size)
        codes = Codes.load(file, conceal=conceal, coder=coder)
        num_bytes = file.seek(0, os.SEEK_END)
    for warning in caught:
        print_warning(str(warning.message), item.name)
    return Coded(codes, num_bytes=num_bytes)
