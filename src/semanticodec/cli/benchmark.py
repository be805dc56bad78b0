"""`semanticodec benchmark`: how fast a model is on this machine, and where the time goes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.benchmark.settings import BOXES, Settings, check_boxes
from semanticodec.cli.options import (
    add_decode_options,
    add_model_options,
    checked_device,
    load_codec,
    positive_int,
    sampling_options,
)
from semanticodec.cli.outputs import written_whole
from semanticodec.cli.progress import is_watched
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError, MissingDependencyError
from semanticodec.runtimes import use_runtime

if TYPE_CHECKING:
    from semanticodec import SemantiCodec
    from semanticodec.cli.options import Subparsers

DESCRIPTION = """\
Measure how fast a model is on this machine: seconds, GFLOP/s against what the machine reaches,
and memory, of every box and of encoding and decoding as a whole.

  semanticodec benchmark                              the built-in model
  semanticodec benchmark --device cuda --dtype float16
  semanticodec benchmark --official -o results/       official sizes, random weights: 3 GB, minutes
  semanticodec benchmark --boxes unet vae --runs 9

Boxes: {boxes}.
"""
OFFICIAL_RATE, OFFICIAL_VOCABULARY = 100, 16384
BUILT_IN = "built-in model"
NAME = "benchmark"  # of the files in the folder of -o
PICTURES = ("png", "svg")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        "benchmark",
        help="how fast a model is on this machine",
        description=DESCRIPTION.format(boxes=", ".join(BOXES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what to measure")
    group.add_argument(
        "--official",
        action="store_true",
        help="the official sizes with random weights instead of a model "
        f"(--token-rate {OFFICIAL_RATE} and --semantic-vocab-size {OFFICIAL_VOCABULARY} unless "
        "given; at 25 tokens per second the encoder alone takes 6 GB)",
    )
    group.add_argument(
        "--boxes", nargs="+", metavar="BOX", default=list(BOXES), help="default: all of them"
    )
    group.add_argument(
        "--runs", type=positive_int, default=5, metavar="N", help="of each box (default: 5)"
    )
    group.add_argument(
        "--seconds",
        type=float,
        default=10.24,
        metavar="S",
        help="sound to encode and decode as a whole (default: %(default)s, one window)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="also write benchmark.json, .md, .png and .svg there",
    )
    output.add_argument("--overwrite", action="store_true", help="replace files that exist")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    output.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    add_decode_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit status."""
    check_boxes(tuple(args.boxes))
    folder = None if args.output is None else Path(args.output)
    if folder is not None:
        _check_folder(folder, args.overwrite)
    if args.official and args.model is not None:
        raise ConfigError("--official stands for a model; leave --model out")

    from semanticodec.benchmark.run import run_benchmark

    args.device = checked_device(args.device)
    settings = _settings(args)
    report = run_benchmark(_codec(args), settings, _progress(args.quiet))
    if args.json:
        print(json.dumps(report))
    else:
        from semanticodec.benchmark.report import text_report

        print(text_report(report), end="")
    if folder is not None:
        _write(folder, report)
    return DONE


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(
        model="official size, random weights" if args.official else args.model or BUILT_IN,
        is_official_size=args.official,
        device=args.device,
        dtype=args.dtype,
        runtime=args.runtime,
        boxes=tuple(args.boxes),
        num_runs=args.runs,
        seconds=args.seconds,
        batch_size=args.batch_size,
        decode_options=sampling_options(args),
    )


def _codec(args: argparse.Namespace) -> SemantiCodec:
    if not args.official:
        return load_codec(args, args.token_rate, args.semantic_vocab_size)
    import torch

    from semanticodec.benchmark.boxes import parts_of
    from semanticodec.benchmark.models import official_codec

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    codec = official_codec(
        args.token_rate or OFFICIAL_RATE,
        args.semantic_vocab_size or OFFICIAL_VOCABULARY,
        parts_of(tuple(args.boxes)),
        args.device,
        getattr(torch, args.dtype),
    )
    use_runtime(codec, args.runtime)
    return codec


def _progress(quiet: bool) -> Any:
    def tell(what: str) -> None:
        if is_watched(quiet):
            print(f"measuring {what}", file=sys.stderr)

    return tell


def _check_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; give a folder with -o")
    for suffix in ("json", "md", *PICTURES):
        path = folder / f"{NAME}.{suffix}"
        if path.exists() and not overwrite:
            raise ConfigError(f"{path} exists already; choose another folder or say --overwrite")


def _write(folder: Path, report: dict[str, Any]) -> None:
    from semanticodec.benchmark.picture import draw_times, picture_bytes
    from semanticodec.benchmark.report import markdown_report

    try:
        figure = draw_times(report)
    except MissingDependencyError as error:
        figure = None
        print(f"semanticodec: warning: no picture: {error}", file=sys.stderr)
    pictures = PICTURES if figure is not None else ()
    page = markdown_report(report, f"{NAME}.png" if pictures else None)
    contents = {"json": json.dumps(report, indent=2) + "\n", "md": page}
    files = {suffix: text.encode() for suffix, text in contents.items()}
    if figure is not None:
        files |= {kind: picture_bytes(figure, kind) for kind in pictures}
    for suffix, content in files.items():
        with written_whole(folder / f"{NAME}.{suffix}") as partial:
            partial.write_bytes(content)
