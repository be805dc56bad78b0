"""`python -m experiments.figures PICTURE`: draws what was measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.command import experiment_parser
from experiments.figures import quality_semantics, spectrogram_grid
from experiments.figures.code_use import draw_code_use, measure_code_use
from experiments.figures.pictures import add_matches, drawn, picture_path, save
from experiments.results.reader import ABLATIONS, CODE_USE, Result, read_result, read_results
from semanticodec.audio.io import read_segment
from semanticodec.cli import run_command
from semanticodec.cli.old_specs import current_form, current_specs
from semanticodec.cli.options import (
    add_model_options,
    load_codec,
    positive_int,
    renamed,
)
from semanticodec.cli.report import DONE, print_warning
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError, DataError
from semanticodec.evaluation.suites import Clip, Suite, open_suite
from semanticodec.evaluation.systems import open_system
from semanticodec.evaluation.systems.model import BUILT_IN
from semanticodec.evaluation.systems.specs import folder_name
from semanticodec.files import write_json
from semanticodec.progress import ProgressBar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semanticodec.cli.options import Subparsers

STAGES_S = 0.96  # a second in whole patches
DESCRIPTION = """\
Draw what was measured, as .png or .svg by the output's suffix.

  python -m experiments.figures quality reconstruction.json semantics.json -o quality.png
  python -m experiments.figures spectrograms --suite clips/ --system model opus:kbps=6 -o s.png
  python -m experiments.figures sweep guidance-steps.json -o guidance-steps.png
  python -m experiments.figures code-map --suite clips/ --example speech/a -o code-map.png
  python -m experiments.figures stages speech.wav --start 0.3 -o stages.png
  python -m experiments.figures code-use --suite clips/ --counts code-use.json -o code-use.png
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("figures", DESCRIPTION)
    pictures = parser.add_subparsers(dest="picture", metavar="PICTURE", required=True)
    _add_quality(pictures)
    _add_spectrograms(pictures)
    _add_sweep(pictures)
    _add_code_use(pictures)
    _add_code_map(pictures)
    _add_stages(pictures)
    return parser


def run(args: argparse.Namespace) -> int:
    """Draw and write the picture that was asked for; return the exit status."""
    save(args.draw(args), args.output, args.quiet)
    return DONE


def _added(pictures: Subparsers, name: str, help_text: str) -> argparse.ArgumentParser:
    description = f"{help_text[0].upper()}{help_text[1:]}."
    return pictures.add_parser(name, help=help_text, description=description)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=picture_path,
        metavar="PICTURE",
        help="output picture (.png or .svg); an existing one is overwritten",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")


# ---------------------------------------------------------------------- quality


def _add_quality(pictures: Subparsers) -> None:
    parser = _added(
        pictures,
        "quality",
        "draw quality over semantic accuracy, with bitrates as bubbles (Fig. 1)",
    )
    parser.add_argument(
        "results",
        nargs="*",
        type=Path,
        metavar="RESULTS",
        help="results files of the kinds reconstruction and semantics (default: none, so that the "
        "paper's points stand alone)",
    )
    add_matches(parser)
    parser.add_argument("--no-paper", action="store_true", help="leave the paper's points out")
    _add_output(parser)
    parser.set_defaults(draw=_draw_quality)


def _draw_quality(args: argparse.Namespace) -> Figure:
    results = read_results(args.results)
    measured = quality_semantics.measured_points(results, dict(args.match))
    if results and not measured:
        raise DataError(
            "no system of these files has both a quality and a semantic accuracy; name the "
            "features of each with --match SYSTEM FEATURES"
        )
    printed = [] if args.no_paper else quality_semantics.paper_points()
    note = quality_semantics.measured_on(measured, results)
    return quality_semantics.draw_quality_semantics([*printed, *measured], note=note)


# ---------------------------------------------------------------------- spectrograms


def _add_spectrograms(pictures: Subparsers) -> None:
    parser = _added(
        pictures, "spectrograms", "draw spectrograms of originals and decoded clips (Fig. 5)"
    )
    parser.add_argument("--suite", required=True, metavar="FOLDER", help="folder of recordings")
    parser.add_argument(
        "--clip",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="paths of clips below the suite, without suffix (default: the first clip of every "
        "domain)",
    )
    parser.add_argument(
        "--system",
        nargs="+",
        action="extend",
        required=True,
        metavar="SPEC",
        help="systems to draw, as `semanticodec evaluate reconstruction` takes them",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.24,
        metavar="S",
        help="length of each clip's drawn part, in seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, mps, or auto for the fastest one present (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of CPU threads (default: %(default)s)",
    )
    _add_output(parser)
    parser.set_defaults(draw=_draw_spectrograms)


def _draw_spectrograms(args: argparse.Namespace) -> Figure:
    if not 0 < args.seconds <= spectrogram_grid.MAX_SECONDS:
        raise ConfigError(
            f"--seconds is {args.seconds:g}; give more than 0 and at most "
            f"{spectrogram_grid.MAX_SECONDS:g}"
        )
    clips = _chosen(open_suite(args.suite), args.clip)
    device = checked_device(args.device)
    specs = current_specs(args.system, current_form)
    systems = [open_system(spec, threads=args.threads, device=device) for spec in specs]
    rows = spectrogram_grid.reconstructed_rows(clips, systems)
    rows = list(ProgressBar(rows, total=len(clips), unit="clip", shown=not args.quiet))
    for row in rows:
        for panel in row.panels:
            if panel.error:
                print_warning(f"{panel.title} failed: {panel.error}", row.clip)
    return spectrogram_grid.draw_spectrogram_grid(rows, max_seconds=args.seconds)


def _chosen(suite: Suite, names: Sequence[str]) -> list[Clip]:
    """Return the clips of these names, or the first of every domain."""
    if not names:
        first: dict[str, Clip] = {}
        for clip in suite.clips:
            first.setdefault(clip.domain, clip)
        return list(first.values())
    known = {clip.name: clip for clip in suite.clips}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"the suite {suite.name} has no clip '{name}'; its clips are called like "
                f"{suite.clips[0].name}"
            )
    return [known[name] for name in names]


# ---------------------------------------------------------------------- sweep


def _add_sweep(pictures: Subparsers) -> None:
    parser = _added(
        pictures, "sweep", "draw quality over guidance and steps (Fig. 6), or vocabularies (Fig. 7)"
    )
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="results file of the kind ablations"
    )
    parser.add_argument(
        "--domain",
        metavar="NAME",
        help="domain whose scores are drawn (default: averages over the domains)",
    )
    _add_output(parser)
    parser.set_defaults(draw=_draw_sweep)


def _draw_sweep(args: argparse.Namespace) -> Figure:
    return drawn(_result_of(args.results, ABLATIONS), domain=args.domain)


def _result_of(path: Path, kind: str) -> Result:
    result = read_result(path)
    if result.kind != kind:
        raise DataError(f"{path} holds results of the kind {result.kind}; give one of {kind}")
    return result


# ---------------------------------------------------------------------- code use


def _add_code_use(pictures: Subparsers) -> None:
    parser = _added(pictures, "code-use", "draw how much of its codebooks and bits a codec uses")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "results",
        nargs="?",
        type=Path,
        metavar="RESULTS",
        help="results file of the kind code-use",
    )
    source.add_argument(
        "--suite", metavar="FOLDER", help="folder of recordings to encode and count"
    )
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="use only the first N clips of each domain"
    )
    counts = parser.add_argument(
        "--counts", type=Path, metavar="FILE", help="results file for the counts"
    )
    renamed(parser, counts, "--json")
    add_model_options(parser)
    _add_output(parser)
    parser.set_defaults(draw=_draw_code_use)


def _draw_code_use(args: argparse.Namespace) -> Figure:
    if args.suite is None:
        return drawn(_result_of(args.results, CODE_USE))
    content = _counted(args)
    for failure in content["failures"]:
        print_warning(f"not encoded: {failure['error']}", failure["clip"])
    if args.counts is not None:
        write_json(args.counts, content)
    return draw_code_use(content)


def _counted(args: argparse.Namespace) -> dict[str, Any]:
    """Encode a suite and return what its codes count."""
    suite = open_suite(args.suite, limit=args.limit)
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    with ProgressBar(suite.clips, unit="clip", shown=not args.quiet) as clips:
        return measure_code_use(
            codec,
            clips,
            model_name=BUILT_IN if args.model is None else folder_name(args.model),
            suite_name=suite.name,
        )


# ---------------------------------------------------------------------- code map


def _add_code_map(pictures: Subparsers) -> None:
    parser = _added(pictures, "code-map", "draw which bands and times use which codes")
    parser.add_argument(
        "--suite", required=True, metavar="FOLDER", help="folder of recordings to encode and count"
    )
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="use only the first N clips of each domain"
    )
    parser.add_argument(
        "--example",
        metavar="NAME",
        help="path of the clip below the suite, without suffix, that is drawn over time (default: "
        "the first)",
    )
    add_model_options(parser)
    _add_output(parser)
    parser.set_defaults(draw=_draw_code_map)


def _draw_code_map(args: argparse.Namespace) -> Figure:
    from experiments.figures.code_map import draw_code_maps

    suite = open_suite(args.suite, limit=args.limit)
    (example,) = _chosen(suite, [args.example]) if args.example else suite.clips[:1]
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    with ProgressBar(suite.clips, unit="clip", shown=not args.quiet) as clips:
        items = {clip.name: codec.encode(clip.path) for clip in clips}
    minutes = sum(codes.duration_s[0] for codes in items.values()) / 60
    title = (
        f"{len(items)} clips of {suite.name}, {minutes:.0f} minutes, {codec.token_rate} tokens/s; "
        f"over time: {example.name}"
    )
    return draw_code_maps(list(items.values()), items[example.name], title)


# ---------------------------------------------------------------------- stages


def _add_stages(pictures: Subparsers) -> None:
    parser = _added(pictures, "stages", "draw a second of sound on its way through every box")
    parser.add_argument("sound", metavar="SOUND", help="sound file")
    parser.add_argument(
        "--start",
        type=float,
        default=0.0,
        metavar="S",
        help="start of the part that is drawn, in seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="STAGE",
        help="stages that are drawn, of wav, fbank, features, semantic, acoustic, condition, "
        "noise, halfway, latent, mel and decoded (default: all but halfway)",
    )
    add_model_options(parser)
    _add_output(parser)
    parser.set_defaults(draw=_draw_stages)


def _draw_stages(args: argparse.Namespace) -> Figure:
    from experiments.figures.stages import draw_some, draw_stages, follow

    args.device = "cpu"  # the boxes are called one by one, on arrays of the CPU
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    wav = np.concatenate(list(read_segment(args.sound, args.start, STAGES_S)))
    name = Path(args.sound).name
    title = f"{name}, {args.start:g} s to {args.start + STAGES_S:g} s, {codec.token_rate} tokens/s"
    stages = follow(codec, wav)
    return draw_some(stages, args.only) if args.only else draw_stages(stages, title)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
