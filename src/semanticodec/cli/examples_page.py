"""`semanticodec examples page`: one HTML file with players, pictures and rates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.inputs import AUDIO_SUFFIXES, Input, expand
from semanticodec.cli.options import add_inputs, add_model_options, load_codec
from semanticodec.cli.outputs import is_taken
from semanticodec.cli.report import DONE
from semanticodec.decoder.sampling import QUALITIES
from semanticodec.errors import ConfigError
from semanticodec.files import check_writable, write_text

if TYPE_CHECKING:
    from semanticodec.pages.codecs import Codecs
    from semanticodec.pages.coding import Decoding
    from semanticodec.pages.examples import Example

HELP = "write one HTML file with players, pictures and rates"
DESCRIPTION = """\
Write one HTML file with every sound at every token rate of the model: players that switch without
a gap, at one loudness, spectrograms on one scale, and what each takes. It needs no server and no
network.

  semanticodec examples page demo/examples -o examples.html

Needs: pip install 'semanticodec[demo]'.
"""
MAX_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_inputs(parser, f"sound file of at most {MAX_SECONDS:g} s")
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", required=True, metavar="HTML", help="output file")
    group.add_argument("--overwrite", action="store_true", help="overwrite an existing file")
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    decoding = parser.add_argument_group("decoding")
    decoding.add_argument(
        "--quality",
        choices=QUALITIES,
        default="standard",
        help="named sampling settings of the model (default: %(default)s)",
    )
    decoding.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed of the initial noise (default: %(default)s)",
    )
    add_model_options(parser, choose_rate=False)


def run(args: argparse.Namespace) -> int:
    """Write the page and return the exit status."""
    target = Path(args.output)
    if is_taken(target) and not args.overwrite:
        raise ConfigError(f"{target} exists already; choose another name, or say --overwrite")
    check_writable(target)
    items = expand(args.inputs, AUDIO_SUFFIXES, None)

    from semanticodec.checkpoints.pretrained import model_folder
    from semanticodec.pages.codecs import Codecs, offered_settings
    from semanticodec.pages.coding import Decoding
    from semanticodec.pages.examples import examples_page
    from semanticodec.pages.loudness import require_loudness

    require_loudness()
    codecs = Codecs(
        offered_settings(model_folder(args.model)), lambda *setting: load_codec(args, *setting)
    )
    decoding = Decoding(quality=args.quality, seed=args.seed)
    page = examples_page([_example(item, codecs, decoding, args.quiet) for item in items])
    write_text(target, page)
    if not args.quiet:
        print(f"{target}: {len(items)} sounds, {len(page.encode()) / 1e6:.1f} MB")
    return DONE


def _example(item: Input, codecs: Codecs, decoding: Decoding, quiet: bool) -> Example:
    from semanticodec.pages.coding import compare
    from semanticodec.pages.examples import Example
    from semanticodec.pages.short_sound import read_short_sound
    from semanticodec.progress import SECOND, ProgressBar
    from semanticodec.token_format import SAMPLE_RATE

    with item.opened() as file:
        original = read_short_sound(file, item.name, MAX_SECONDS)
    name = item.relative.stem
    length_s = len(original) / SAMPLE_RATE
    bar = ProgressBar(label=name, unit=SECOND, total=length_s, shown=not quiet, has_summary=False)
    steps = compare(codecs, original, decoding)
    with bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                return Example(name=name, original=original, codings=finished.value)
            bar.reach(length_s * step.share)
