"""`semanticodec mushra build`: a test folder from a suite and systems."""

from __future__ import annotations

import argparse
from functools import partial

from semanticodec.cli.evaluate_options import add_output
from semanticodec.cli.options import add_device_option, checked_device, positive_int
from semanticodec.cli.report import DONE

HELP = "make a test folder from a suite and systems"
DESCRIPTION = """\
Render clips of a suite with every system and write a test folder: hidden reference, low-pass
anchors of 3.5 and 7 kHz, all sounds of a page aligned to one loudness (EBU R 128, -23 LUFS), a
training page first. Pages and sounds come to every listener in another order.

  semanticodec mushra build --suite clips/ --system model opus:kbps=6 -o test/ --num-clips 10
  semanticodec mushra build --suite clips/ --system model:name=a model:seed=1,name=b -o test/ --abx

Suites and systems are those of `semanticodec evaluate reconstruction`; `folder:path=FOLDER` takes
sounds that were made before. The paper has 25 music, 30 speech and 50 general clips and no anchor
of 7 kHz (--anchors 3.5), which sounds of 16 kHz nearly reach.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--suite", required=True, metavar="FOLDER", help="folder of recordings to judge"
    )
    parser.add_argument(
        "--system",
        required=True,
        nargs="+",
        action="extend",
        metavar="SPEC",
        help="systems to compare, at most nine with both anchors; may be repeated",
    )
    add_output(parser)
    group = parser.add_argument_group("test")
    group.add_argument(
        "--title", default="Listening test", help="name that listeners see (default: %(default)s)"
    )
    group.add_argument(
        "--abx", action="store_true", help="ask which of two systems X is, instead of for ratings"
    )
    group.add_argument(
        "--anchors",
        nargs="*",
        choices=("3.5", "7"),
        default=["3.5", "7"],
        metavar="KHZ",
        help="low-pass anchors, 3.5 and 7 (default: both)",
    )
    group.add_argument(
        "--num-clips",
        type=positive_int,
        metavar="N",
        help="number of clips of each domain, drawn at random (default: all)",
    )
    group.add_argument(
        "--training-clip",
        metavar="NAME",
        help="clip of the training page (default: one that is not drawn)",
    )
    group.add_argument(
        "--max-duration",
        type=positive_int,
        default=10,
        metavar="SECONDS",
        help="length to which clips are cut (default: %(default)s)",
    )
    group.add_argument(
        "--repeats",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of ABX pages for each clip (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed of clips and orders (default: %(default)s)",
    )
    group = parser.add_argument_group("running")
    group.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of CPU threads (default: %(default)s)",
    )
    add_device_option(group)
    group.add_argument(
        "--overwrite", action="store_true", help="replace a test that nobody has rated yet"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    parser.set_defaults(run_action=run)


def run(args: argparse.Namespace) -> int:
    """Write the test folder and return the exit status."""
    from semanticodec.evaluation import systems
    from semanticodec.evaluation.suites import open_suite
    from semanticodec.listening.anchors import LOW, MID
    from semanticodec.listening.build import BuildSettings, build
    from semanticodec.listening.plan import ABX, MUSHRA

    named = {"3.5": LOW, "7": MID}
    settings = BuildSettings(
        title=args.title,
        mode=ABX if args.abx else MUSHRA,
        anchors=() if args.abx else tuple(named[name] for name in sorted(set(args.anchors))),
        num_clips=args.num_clips,
        training_clip=args.training_clip,
        max_duration_s=float(args.max_duration),
        repeats=args.repeats,
        seed=args.seed,
    )
    plan = build(
        open_suite(args.suite),
        args.system,
        args.output,
        settings,
        open_system=partial(
            systems.open_system, threads=args.threads, device=checked_device(args.device)
        ),
        overwrite=args.overwrite,
        show_progress=not args.quiet,
    )
    if not args.quiet:
        print(
            f"{args.output}: a training page and {len(plan.counted)} pages of "
            f"{len(plan.conditions)} sounds ({', '.join(plan.names)})"
        )
    return DONE
