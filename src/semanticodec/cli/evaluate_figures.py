"""`semanticodec evaluate figures` and `results`: pictures and a page from results files."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.cli.options import (
    add_model_options,
    checked_device,
    load_codec,
    positive_int,
)
from semanticodec.cli.outputs import written_whole
from semanticodec.cli.progress import is_watched
from semanticodec.cli.report import DONE, print_warning
from semanticodec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semanticodec.cli.options import Subparsers
    from semanticodec.evaluation.result_reader import Result
    from semanticodec.evaluation.suites import Clip, Suite

FIGURES_DESCRIPTION = """\
Draw what was measured, as .png or .svg by the output's suffix.

  semanticodec evaluate figures quality reconstruction.json semantics.json -o quality.png
  semanticodec evaluate figures spectrograms --suite clips/ --system model --system opus@6 -o s.png
  semanticodec evaluate figures sweep guidance-steps.json -o guidance-steps.png
  semanticodec evaluate figures code-use --suite clips/ --json code-use.json -o code-use.png
"""
RESULTS_DESCRIPTION = """\
Write the page of results: what was measured, and apart from it what the paper reports.

  semanticodec evaluate results docs/results/*.json -o docs/results.md --figures docs/results
"""
BUILT_IN = "built-in"


def add_parser(subparsers: Subparsers) -> None:
    """Add `figures` with its pictures, and `results`."""
    figures = _added(subparsers, "figures", "draw what was measured", FIGURES_DESCRIPTION)
    pictures = figures.add_subparsers(dest="picture", metavar="PICTURE", required=True)
    _add_quality(pictures)
    _add_spectrograms(pictures)
    _add_sweep(pictures)
    _add_code_use(pictures)
    _add_results(subparsers)


def run(args: argparse.Namespace) -> int:
    """Run the picture or page that was asked for and return the exit status."""
    return args.draw(args)


def _added(
    subparsers: Subparsers, name: str, help_text: str, description: str | None = None
) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=help_text,
        description=description or f"{help_text[0].upper()}{help_text[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=_picture,
        metavar="PICTURE",
        help=".png or .svg; replaced if it exists",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def _picture(text: str) -> Path:
    """Return the path of a picture, or raise what argparse reports."""
    from semanticodec.evaluation.figures.style import picture_kind

    try:
        picture_kind(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def _save(figure: Figure, path: Path, quiet: bool) -> int:
    """Write a picture whole and return the exit status."""
    from semanticodec.evaluation.figures.style import picture_bytes, picture_kind

    content = picture_bytes(figure, picture_kind(path.name))
    with written_whole(path) as partial:
        partial.write_bytes(content)
    _tell_written(path, quiet)
    return DONE


def _tell_written(path: Path, quiet: bool) -> None:
    if not quiet:
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _add_matches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--match",
        nargs=2,
        action="append",
        default=[],
        metavar=("SYSTEM", "FEATURES"),
        help="which features of the semantics belong to a system; may be repeated (default: those "
        "of the same name, of the name and `:all`, or of the same model and bitrate)",
    )


# ---------------------------------------------------------------------- quality


def _add_quality(pictures: Subparsers) -> None:
    parser = _added(
        pictures, "quality", "quality over semantic accuracy, bubbles as large as bitrates (Fig. 1)"
    )
    parser.add_argument(
        "results",
        nargs="*",
        type=Path,
        metavar="RESULTS",
        help="files of the kinds reconstruction and semantics; none: the paper's points only",
    )
    _add_matches(parser)
    parser.add_argument("--no-paper", action="store_true", help="leave the paper's points out")
    _add_output(parser)
    parser.set_defaults(draw=_draw_quality)


def _draw_quality(args: argparse.Namespace) -> int:
    from semanticodec.evaluation.figures import quality_semantics
    from semanticodec.evaluation.result_reader import read_results

    results = read_results(args.results)
    measured = quality_semantics.measured_points(results, dict(args.match))
    if results and not measured:
        raise DataError(
            "no system of these files has both a quality and a semantic accuracy; name the "
            "features of each with --match SYSTEM FEATURES"
        )
    printed = [] if args.no_paper else quality_semantics.paper_points()
    note = quality_semantics.measured_on(measured, results)
    figure = quality_semantics.draw_quality_semantics([*printed, *measured], note=note)
    return _save(figure, args.output, args.quiet)


# ---------------------------------------------------------------------- spectrograms


def _add_spectrograms(pictures: Subparsers) -> None:
    parser = _added(pictures, "spectrograms", "originals and what systems make of them (Fig. 5)")
    parser.add_argument("--suite", required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument(
        "--clip",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="path below the suite without suffix (default: the first clip of every domain)",
    )
    parser.add_argument(
        "--system",
        nargs="+",
        action="extend",
        required=True,
        metavar="SPEC",
        help="as `evaluate reconstruction` takes it, such as model,steps=8 or folder=DIR",
    )
    parser.add_argument(
        "--seconds", type=float, default=10.24, metavar="S", help="of each clip (default: 10.24)"
    )
    parser.add_argument("--device", default="cpu", help="where models compute (default: cpu)")
    parser.add_argument(
        "--threads", type=positive_int, default=1, metavar="N", help="CPU threads (default: 1)"
    )
    _add_output(parser)
    parser.set_defaults(draw=_draw_spectrograms)


def _draw_spectrograms(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from semanticodec.evaluation.figures import spectrogram_grid
    from semanticodec.evaluation.suites import open_suite
    from semanticodec.evaluation.systems import open_system

    if not 0 < args.seconds <= spectrogram_grid.MAX_SECONDS:
        raise ConfigError(
            f"--seconds is {args.seconds:g}; give more than 0 and at most "
            f"{spectrogram_grid.MAX_SECONDS:g}"
        )
    clips = _chosen(open_suite(args.suite), args.clip)
    device = checked_device(args.device)
    systems = [open_system(spec, threads=args.threads, device=device) for spec in args.system]
    rows = spectrogram_grid.reconstructed_rows(clips, systems)
    hidden = not is_watched(args.quiet)
    rows = list(tqdm(rows, total=len(clips), unit="clip", disable=hidden, leave=False))
    for row in rows:
        for panel in row.panels:
            if panel.error:
                print_warning(f"{panel.title} failed: {panel.error}", row.clip)
    figure = spectrogram_grid.draw_spectrogram_grid(rows, max_seconds=args.seconds)
    return _save(figure, args.output, args.quiet)


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
    parser = _added(pictures, "sweep", "guidance and steps (Fig. 6), or vocabularies (Fig. 7)")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="file of the kind ablations")
    parser.add_argument(
        "--domain", metavar="NAME", help="whose scores (default: averages over the domains)"
    )
    _add_output(parser)
    parser.set_defaults(draw=_draw_sweep)


def _draw_sweep(args: argparse.Namespace) -> int:
    from semanticodec.evaluation.result_reader import ABLATIONS

    figure = _drawn(_result_of(args.results, ABLATIONS), domain=args.domain)
    return _save(figure, args.output, args.quiet)


def _drawn(result: Result, domain: str | None = None) -> Figure:
    """Return the picture of one results file of the kinds ablations or code-use."""
    from semanticodec.evaluation.figures.code_use import draw_code_use
    from semanticodec.evaluation.figures.sweeps import draw_sweep
    from semanticodec.evaluation.result_reader import CODE_USE, complete

    with complete(result):
        if result.kind == CODE_USE:
            return draw_code_use(result.content)
        return draw_sweep(result.content, domain=domain)


def _result_of(path: Path, kind: str) -> Result:
    from semanticodec.evaluation.result_reader import read_result

    result = read_result(path)
    if result.kind != kind:
        raise DataError(f"{path} holds results of the kind {result.kind}; give one of {kind}")
    return result


# ---------------------------------------------------------------------- code use


def _add_code_use(pictures: Subparsers) -> None:
    parser = _added(pictures, "code-use", "how much of its codebooks and bits a codec uses")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "results", nargs="?", type=Path, metavar="RESULTS", help="file of the kind code-use"
    )
    source.add_argument("--suite", metavar="DIR", help="recordings to encode and count")
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="the first N clips of every domain"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was counted")
    add_model_options(parser)
    _add_output(parser)
    parser.set_defaults(draw=_draw_code_use)


def _draw_code_use(args: argparse.Namespace) -> int:
    from semanticodec.evaluation.figures.code_use import draw_code_use
    from semanticodec.evaluation.result_reader import CODE_USE
    from semanticodec.evaluation.results import write_json

    if args.suite is None:
        return _save(_drawn(_result_of(args.results, CODE_USE)), args.output, args.quiet)
    content = _counted(args)
    for failure in content["failures"]:
        print_warning(f"not encoded: {failure['error']}", failure["clip"])
    if args.json is not None:
        write_json(args.json, content)
    return _save(draw_code_use(content), args.output, args.quiet)


def _counted(args: argparse.Namespace) -> dict[str, Any]:
    """Encode a suite and return what its codes count."""
    from tqdm import tqdm

    from semanticodec.evaluation.figures.code_use import measure_code_use
    from semanticodec.evaluation.suites import open_suite
    from semanticodec.evaluation.systems.base import folder_name

    suite = open_suite(args.suite, limit=args.limit)
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    hidden = not is_watched(args.quiet)
    with tqdm(suite.clips, unit="clip", disable=hidden, leave=False) as clips:
        return measure_code_use(
            codec,
            clips,
            model_name=BUILT_IN if args.model is None else folder_name(args.model),
            suite_name=suite.name,
        )


# ---------------------------------------------------------------------- results


def _add_results(subparsers: Subparsers) -> None:
    parser = _added(
        subparsers, "results", "the page of results, from results files", RESULTS_DESCRIPTION
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="of any kind")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="PAGE.md",
        help="replaced if it exists",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="DIR",
        help="draw the files' pictures into this folder and show them on the page, with any "
        "spectrograms*.png that are there",
    )
    _add_matches(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    parser.set_defaults(draw=_write_results)


def _write_results(args: argparse.Namespace) -> int:
    from semanticodec.evaluation.result_reader import read_results
    from semanticodec.evaluation.results import write_text

    if args.output.suffix.lower() != ".md":
        raise ConfigError(f"{args.output} is no page; end it in .md")
    if args.figures is not None:
        _draw_all(read_results(args.results), args)
    write_text(args.output, page_text(args))
    _tell_written(args.output, args.quiet)
    return DONE


def page_text(args: argparse.Namespace) -> str:
    """Return the page that `results` writes, with the pictures that are there already.

    Args:
        args: `results`, `output`, `figures` and `match` as the parser gives them.
    Raises:
        DataError: a file that holds no results.
    """
    from semanticodec.evaluation.result_reader import read_results
    from semanticodec.evaluation.results_page import results_page

    words = ["semanticodec", "evaluate", "results", *map(_shown, sorted(args.results))]
    words += ["-o", _shown(args.output)]
    if args.figures is not None:
        words += ["--figures", _shown(args.figures)]
    for match in args.match:
        words += ["--match", *match]
    return results_page(
        read_results(args.results),
        page=args.output,
        figures=args.figures,
        command=shlex.join(words),
    )


def _shown(path: Path) -> str:
    """Return a path as pages show it: from the current folder on, else its name alone."""
    absolute = path.resolve()
    here = Path.cwd().resolve()
    return absolute.relative_to(here).as_posix() if absolute.is_relative_to(here) else path.name


def _draw_all(results: Sequence[Result], args: argparse.Namespace) -> None:
    """Draw every picture that the results have; one that cannot be drawn is named."""
    from semanticodec.evaluation.figures import quality_semantics as quality
    from semanticodec.evaluation.figures.sweeps import SWEEPS
    from semanticodec.evaluation.result_reader import CODE_USE
    from semanticodec.evaluation.results_page import QUALITY_NAME

    points = quality.measured_points(results, dict(args.match))
    if points:
        note = quality.measured_on(points, results)
        figure = quality.draw_quality_semantics([*quality.paper_points(), *points], note=note)
        _save(figure, args.figures / f"{QUALITY_NAME}.png", args.quiet)
    for result in results:
        if result.kind != CODE_USE and result.content.get("name") not in SWEEPS:
            continue
        try:
            figure = _drawn(result)
        except DataError as error:
            print_warning(f"not drawn: {error}", result.name)
        else:
            _save(figure, args.figures / f"{result.name}.png", args.quiet)
