"""`python -m experiments.determinism`: codes under other threads, instruction sets and torchs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from experiments.command import experiment_parser
from experiments.determinism.clips import clip
from experiments.determinism.compare import Comparer, Comparison, Stream, together
from experiments.determinism.measure import Measured, all_choices
from semanticodec.audio.io import load_audio
from semanticodec.cli import run_command
from semanticodec.cli.options import positive_int
from semanticodec.cli.report import DONE
from semanticodec.errors import DataError
from semanticodec.files import atomic_path
from semanticodec.listing import AUDIO_SUFFIXES, walk
from semanticodec.progress import ProgressBar
from semanticodec.token_format import WINDOW_SAMPLES

DESCRIPTION = """\
Encode the same clips under several settings, each in a process of its own, and count the codes
that differ from those of the first setting (one thread, the best instructions of the processor).

  python -m experiments.determinism -o table.md
  python -m experiments.determinism -o table.md --data recordings --python other/bin/python

Each other Python needs this package; PyTorch may be of another version there.
"""
# Of every library: the oldest instructions, or sums in the order that all processors can do.
OLDEST = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
}
INSTRUCTIONS = {
    "ATEN_CPU_CAPABILITY": ("default", "avx2"),
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", "AVX512_CORE"),
    "MKL_CBWR": ("COMPATIBLE", "AVX2"),
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
TWO_THREADS = {"OMP_NUM_THREADS": "2"}
HEAD = (
    "| setting | semantic | acoustic | behind a semantic one | near a tie | widest gap / floor "
    "| waveform |\n|---|---|---|---|---|---|---|"
)


class Setting(NamedTuple):
    """One way to compute.

    Attributes:
        name: its row in the table.
        variables: of the environment.
        python: interpreter.
    """

    name: str
    variables: dict[str, str]
    python: str = sys.executable


def settings(pythons: Sequence[Path], with_instructions: bool) -> Iterator[Setting]:
    """Yield all settings, the one that others are compared with first."""
    yield Setting("1 thread", ONE_THREAD)
    yield Setting("1 thread, again", ONE_THREAD)
    yield Setting("2 threads", TWO_THREADS)
    for name, values in INSTRUCTIONS.items() if with_instructions else ():
        for value in values:
            yield Setting(f"`{name}={value}`", ONE_THREAD | {name: value})
    if with_instructions:
        yield Setting("the oldest of all three", ONE_THREAD | OLDEST)
    for python in pythons:
        yield Setting("1 thread", ONE_THREAD, str(python))
        yield Setting("2 threads", TWO_THREADS, str(python))


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("determinism", DESCRIPTION)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="the table, in Markdown"
    )
    parser.add_argument(
        "--clips", type=positive_int, default=12, metavar="N", help="made-up clips (default: 12)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="also its recordings, joined and cut into windows",
    )
    parser.add_argument(
        "--python",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another interpreter, for another version of PyTorch; may be repeated",
    )
    parser.add_argument(
        "--no-instructions", action="store_true", help="leave out the other instruction sets"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure all settings and write the table."""
    rows = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.savez(place / "clips.npz", *_clips(args.clips, args.data))
        all_settings = list(settings(args.python, not args.no_instructions))
        first = _measured(all_settings[0], place)
        comparers = {
            choice: Comparer(choice.codec(), Measured.load(choice.file(first)))
            for choice in all_choices()
        }
        with ProgressBar(total=len(all_settings) - 1, unit="setting") as progress:
            for setting in all_settings[1:]:
                other = _measured(setting, place)
                measured = [Measured.load(choice.file(other)) for choice in comparers]
                name = f"PyTorch {measured[0].torch_version}, {setting.name}"
                comparisons = map(Comparer.compare, comparers.values(), measured)
                rows.append(row(name, together(list(comparisons))))
                progress.write(rows[-1])
                progress.update(1)
    with atomic_path(args.output) as path:
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return DONE


def row(name: str, comparison: Comparison) -> str:
    """Return a setting's row of the table."""
    semantic, acoustic = comparison.semantic, comparison.acoustic
    cells = (
        name,
        f"{semantic.num_different} of {semantic.num_positions}",
        f"{acoustic.num_different} of {acoustic.num_positions}",
        f"{acoustic.num_behind}",
        f"{semantic.num_near}, {acoustic.num_near}",
        f"{_gaps(semantic)}, {_gaps(acoustic)}",
        f"{comparison.wav:.1g}",
    )
    return f"| {' | '.join(cells)} |"


def _gaps(stream: Stream) -> str:
    return f"{stream.widest:.1g} / {stream.floor:.1g}"


def _clips(number: int, data: Path | None) -> list[np.ndarray]:
    wavs = [clip(index) for index in range(number)]
    if data is not None:
        joined = torch.cat([load_audio(path) for path in walk(data, AUDIO_SUFFIXES)])
        whole = len(joined) // WINDOW_SAMPLES * WINDOW_SAMPLES
        wavs.extend(window.numpy() for window in joined[:whole].split(WINDOW_SAMPLES))
    return wavs


def _measured(setting: Setting, place: Path) -> Path:
    """Run a setting in its process; the first one writes what the others decode."""
    reference = place / "first"
    output = place / "other" if reference.exists() else reference
    program = [setting.python, "-m", "experiments.determinism.measure"]
    files = [str(place / "clips.npz"), str(output), str(reference)]
    finished = subprocess.run(
        program + files, env=os.environ | setting.variables, capture_output=True, text=True
    )
    if finished.returncode:
        said = finished.stderr.strip().splitlines() or ["no message"]
        raise DataError(f"{setting.name} failed ({said[-1]}); leave it out or mend it")
    return output


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
