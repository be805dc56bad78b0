"""`semanticodec benchmark`: how fast a model is on this machine, and where the time goes."""

from __future__ import annotations

import argparse
import json

from semanticodec.cli.options import (
    add_decode_options,
    add_model_options,
    load_codec,
    positive_int,
    sampling_options,
)
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError

HELP = "measure how fast a model is on this machine"
DESCRIPTION = """\
Measure how fast a model is on this machine: seconds, real-time factor and memory of encoding and
decoding, and how their time is shared among the modules.

  semanticodec benchmark                                 the built-in model
  semanticodec benchmark --device cuda --dtype float16

Single modules, GFLOP/s against what the machine reaches, pictures, and the comparison with the
official code are measured from a clone of the repository: python -m benchmarks.modules --help.
"""
BUILT_IN = "built-in model"
MOVED = ("--official", "--boxes", "-o", "--output")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = parser.add_argument_group("what to measure")
    group.add_argument(
        "--runs",
        type=positive_int,
        default=5,
        metavar="N",
        help="number of measured runs, after one that warms up (default: %(default)s)",
    )
    group.add_argument(
        "--seconds",
        type=float,
        default=10.24,
        metavar="S",
        help="length of the sound to encode and decode, in seconds (default: %(default)s, one "
        "window)",
    )
    parser.add_argument(*MOVED, dest="moved", nargs="*", help=argparse.SUPPRESS)
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    output.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    add_decode_options(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    if args.moved is not None:
        raise ConfigError(
            f"{', '.join(MOVED)} are now options of `python -m benchmarks.modules`, "
            "run from a clone of the repository"
        )
    from semanticodec.benchmark.run import run_benchmark, text_report
    from semanticodec.benchmark.stages import STAGES, Runs
    from semanticodec.progress import ProgressBar

    runs = Runs(
        num_runs=args.runs,
        seconds=args.seconds,
        decode_options=sampling_options(args),
        batch_size=args.batch_size,
    )
    args.device = checked_device(args.device)

    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    described = {
        "model": args.model or BUILT_IN,
        "device": args.device,
        "dtype": args.dtype,
        "runtime": args.runtime,
    }
    num_runs = len(STAGES) * (args.runs + 1)
    with ProgressBar(unit="run", total=num_runs, shown=not args.quiet, has_summary=False) as bar:

        def tell(stage: str) -> None:
            bar.show(label=stage)
            bar.update()

        report = run_benchmark(codec, runs, described, tell)
    print(json.dumps(report) if args.json else text_report(report))
    return DONE
