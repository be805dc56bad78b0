"""`python -m experiments.accelerator COMMAND`: a model in a quarter of an hour of a large GPU.

What the commands need is imported by each: `check` works where packages are missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.accelerator import machine
from experiments.command import experiment_parser
from semanticodec.cli import run_command
from semanticodec.cli.evaluate_options import SOME_FAILED
from semanticodec.cli.options import positive_int
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError
from semanticodec.provenance import num_cores

MIB = 1 << 20
PLANS = ("large", "tiny")
DESCRIPTION = """\
Train a whole model on a machine with one large GPU that is there for a quarter of an hour.

  pack      recordings -> parts of at most 60 MiB
  check     what this machine lacks
  run       parts -> AudioMAE, codebooks, VAE, vocoder, codec, decoder, and their measures
  collect   results -> files of at most 64 MiB in all

experiments/accelerator/README.md goes through it.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("accelerator", DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_pack(commands.add_parser("pack", help="write recordings into parts"))
    _add_check(commands.add_parser("check", help="say what this machine lacks"))
    _add_run(commands.add_parser("run", help="train and measure, or go on with it"))
    _add_collect(commands.add_parser("collect", help="write the results into small files"))
    return parser


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", type=Path, help="training audio, as `train` takes it")
    _add_output(parser, "folder of the parts")
    parser.add_argument(
        "--parts", type=positive_int, default=1, help="number of parts at most (default: 1)"
    )
    _add_mib(parser, "--part-mib", 60, "size of a part at most")
    parser.add_argument(
        "--clips", type=Path, metavar="FOLDER", help="suite of recordings to measure with"
    )
    parser.add_argument(
        "--num-clips",
        type=positive_int,
        default=4,
        metavar="N",
        help="clips of each domain (default: %(default)s)",
    )
    parser.set_defaults(work=_pack)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--packs", type=Path, metavar="FOLDER", help="parts to check")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="RUN", help="where the run would be"
    )
    parser.set_defaults(work=_check)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packs", type=Path, help="folder of the parts")
    _add_output(parser, "folder of the run")
    parser.add_argument(
        "--plan", choices=PLANS, default="large", help="sizes (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=12.0,
        metavar="M",
        help="time of the whole plan, over all calls (default: %(default)g)",
    )
    parser.add_argument(
        "--call-minutes",
        type=float,
        metavar="M",
        help="time after which this call stops; the next one goes on (default: no limit)",
    )
    parser.add_argument("--device", default="auto", help="cuda, cpu or auto (default: %(default)s)")
    parser.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="threads that load audio (default: CPU cores less two)",
    )
    parser.set_defaults(work=_run)


def _add_collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of the run")
    _add_output(parser, "folder of the files")
    parser.add_argument(
        "--volume",
        type=int,
        default=0,
        metavar="N",
        help="volume to write, from 0: the first has what matters most (default: %(default)s)",
    )
    _add_mib(parser, "--volume-mib", 63, "size of a volume at most")
    _add_mib(parser, "--slice-mib", 15, "size of a file at most")
    parser.set_defaults(work=_collect)


def _add_output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help=what)


def _add_mib(parser: argparse.ArgumentParser, name: str, default: float, what: str) -> None:
    parser.add_argument(
        name, type=float, default=default, metavar="MIB", help=f"{what} (default: %(default)g)"
    )


def _pack(args: argparse.Namespace) -> int:
    from experiments.accelerator.packs import pack

    manifest = pack(
        args.sources,
        args.output,
        num_parts=args.parts,
        part_bytes=_num_bytes("--part-mib", args.part_mib),
        clips=args.clips,
        clips_per_domain=args.num_clips,
    )
    for name, part in manifest["parts"].items():
        size = sum(file["bytes"] for file in part["files"].values()) / MIB
        hours = [f"{domain} {s / 3600:.2f} h" for domain, s in part["seconds"].items()]
        print(f"{name}: {size:.1f} MiB, {', '.join(hours)}")
    return DONE


def _check(args: argparse.Namespace) -> int:
    findings = machine.check(args.output, args.packs)
    for finding in findings:
        mark = "ok     " if finding.is_good else "MISSING" if finding.is_needed else "less   "
        print(f"{mark}  {finding.text}")
    packages = machine.missing_packages()
    if packages:
        print(
            "\nWhere pip has a network, for this Python and platform:\n"
            f"  pip download --no-deps --only-binary=:all: -d wheels {' '.join(packages)}\n"
            "and here:\n"
            "  pip install --no-index --no-deps wheels/*.whl"
        )
    lacks = any(finding.is_needed and not finding.is_good for finding in findings)
    return SOME_FAILED if lacks else DONE


def _run(args: argparse.Namespace) -> int:
    for name in ("minutes", "call_minutes"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name.replace('_', '-')} is {value}; give more than 0")
    from experiments.accelerator.run import PlanRun, Settings

    settings = Settings(
        packs=args.packs,
        out=args.output,
        plan=args.plan,
        minutes=args.minutes,
        call_minutes=args.call_minutes,
        device=checked_device(args.device),
        num_jobs=args.jobs or max(num_cores() - 2, 1),
    )
    return DONE if PlanRun(settings).run() else SOME_FAILED


def _collect(args: argparse.Namespace) -> int:
    from experiments.accelerator.volumes import write_volume

    volume = write_volume(
        args.run,
        args.output,
        number=args.volume,
        volume_bytes=_num_bytes("--volume-mib", args.volume_mib),
        slice_bytes=_num_bytes("--slice-mib", args.slice_mib),
    )
    size = sum(path.stat().st_size for path in volume.files) / MIB
    print(f"volume {volume.number} of {volume.count}: {len(volume.files)} files, {size:.1f} MiB")
    return DONE


def _num_bytes(option: str, mib: float) -> int:
    if not mib * MIB >= 1:
        raise ConfigError(f"{option} is {mib}; give more than 0")
    return int(mib * MIB)


def run(args: argparse.Namespace) -> int:
    """Do what the command says; returns the exit status."""
    return args.work(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
