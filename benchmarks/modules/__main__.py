"""`python -m benchmarks.modules`: single modules and the whole against what the machine reaches."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.modules.inputs import parts_of
from benchmarks.modules.picture import draw_times, picture_bytes
from benchmarks.modules.random_models import official_codec
from benchmarks.modules.report import markdown_report, text_report
from benchmarks.modules.run import run_modules
from benchmarks.modules.settings import TITLES, Settings
from semanticodec import SemantiCodec
from semanticodec.benchmark.stages import Runs
from semanticodec.cli import run_command
from semanticodec.cli.benchmark import BUILT_IN
from semanticodec.cli.options import (
    Parser,
    add_decode_options,
    add_model_options,
    load_codec,
    positive_int,
    renamed,
    sampling_options,
)
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError, MissingDependencyError
from semanticodec.files import write_bytes
from semanticodec.progress import ProgressBar
from semanticodec.runtimes import use_runtime

DESCRIPTION = """\
Measure how fast a model is on this machine: seconds, GFLOP/s against what the machine reaches,
and memory, of every module and of encoding and decoding as a whole.

  python -m benchmarks.modules                              the built-in model
  python -m benchmarks.modules --device cuda --dtype float16
  python -m benchmarks.modules --official -o results/       official sizes, random weights: 3 GB
  python -m benchmarks.modules --modules unet vae --runs 9

Modules: {modules}.
"""
OFFICIAL_RATE, OFFICIAL_VOCABULARY = 100, 16384
NAME = "benchmark"  # of the files in the folder of -o
PICTURES = ("png", "svg")


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = Parser(
        prog="python -m benchmarks.modules",
        description=DESCRIPTION.format(modules=", ".join(TITLES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what to measure")
    group.add_argument(
        "--official",
        action="store_true",
        help="measure the official sizes with random weights instead of a model "
        f"(--token-rate {OFFICIAL_RATE} and --semantic-vocab-size {OFFICIAL_VOCABULARY} unless "
        "given; at 25 tokens per second the encoder alone takes 6 GB)",
    )
    modules = group.add_argument(
        "--modules",
        nargs="+",
        metavar="NAME",
        default=list(TITLES),
        help="modules to measure (default: all of them)",
    )
    renamed(group, modules, "--boxes")
    group.add_argument(
        "--runs",
        type=positive_int,
        default=5,
        metavar="N",
        help="number of runs of each module (default: 5)",
    )
    group.add_argument(
        "--seconds",
        type=float,
        default=10.24,
        metavar="S",
        help="length of the sound to encode and decode as a whole, in seconds "
        "(default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="output directory for benchmark.json, .md, .png and .svg",
    )
    output.add_argument("--overwrite", action="store_true", help="overwrite existing files")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    output.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    add_decode_options(parser)
    add_model_options(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit status."""
    folder = None if args.output is None else Path(args.output)
    if folder is not None:
        _check_folder(folder, args.overwrite)
    if args.official and args.model is not None:
        raise ConfigError("--official stands for a model; leave --model out")

    args.device = checked_device(args.device)
    settings = _settings(args)
    with ProgressBar(unit="part", shown=not args.quiet, has_summary=False) as bar:

        def tell(what: str) -> None:
            bar.show(label=what)
            bar.update()

        report = run_modules(_codec(args), settings, tell)
    if args.json:
        print(json.dumps(report))
    else:
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
        modules=tuple(args.modules),
        runs=Runs(
            num_runs=args.runs,
            seconds=args.seconds,
            decode_options=sampling_options(args),
            batch_size=args.batch_size,
        ),
    )


def _codec(args: argparse.Namespace) -> SemantiCodec:
    if not args.official:
        return load_codec(args, args.token_rate, args.semantic_vocab_size)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    codec = official_codec(
        args.token_rate or OFFICIAL_RATE,
        args.semantic_vocab_size or OFFICIAL_VOCABULARY,
        parts_of(tuple(args.modules)),
        args.device,
        getattr(torch, args.dtype),
    )
    use_runtime(codec, args.runtime)
    return codec


def _check_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; give a folder with -o")
    for suffix in ("json", "md", *PICTURES):
        path = folder / f"{NAME}.{suffix}"
        if path.exists() and not overwrite:
            raise ConfigError(f"{path} exists already; choose another folder or say --overwrite")


def _write(folder: Path, report: dict[str, Any]) -> None:
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
        write_bytes(folder / f"{NAME}.{suffix}", content)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
