"""`semanticodec explain`: what semantic codes stand for, by the sounds that are nearest to them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.inputs import AUDIO_SUFFIXES, Input, expand
from semanticodec.cli.options import add_model_options, load_codec, positive_int
from semanticodec.cli.outputs import is_taken
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError
from semanticodec.files import check_writable, write_text

if TYPE_CHECKING:
    from semanticodec import SemantiCodec
    from semanticodec.pages.meaning import Sound

HELP = "say what semantic codes stand for, by the sounds nearest to them"
DESCRIPTION = """\
Say what semantic codes stand for: where in your recordings they are, in which bands, and which
codes there are nearest to them. With -o also as one HTML file with players and spectrograms.

  semanticodec explain 1234 --sounds recordings/
  semanticodec explain 1234 887 --sounds recordings/ -o codes.html

The page needs: pip install 'semanticodec[plot]'.
"""
MAX_SECONDS = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("codes", nargs="+", type=int, metavar="CODE", help="semantic code")
    parser.add_argument(
        "--sounds",
        nargs="+",
        required=True,
        metavar="INPUT",
        help=f"sound file of at most {MAX_SECONDS:g} s, folder or quoted pattern to look in",
    )
    parser.add_argument(
        "--num-places",
        type=positive_int,
        default=5,
        metavar="N",
        help="how many places to show of each code (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="HTML", help="page to write (default: none)")
    output.add_argument("--overwrite", action="store_true", help="overwrite an existing page")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Explain every code and return the exit status."""
    target = None if args.output is None else Path(args.output)
    if target is not None:
        if is_taken(target) and not args.overwrite:
            raise ConfigError(f"{target} exists already; choose another name, or say --overwrite")
        check_writable(target)
    items = expand(args.sounds, AUDIO_SUFFIXES, None)
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)

    from semanticodec.pages.explanation import explanation_page, explanation_text
    from semanticodec.pages.meaning import explain
    from semanticodec.progress import ProgressBar

    watched = ProgressBar(items, unit="sound", has_summary=False)
    sounds = [_sound(codec, item) for item in watched]
    meanings = [explain(codec, code, sounds, args.num_places) for code in args.codes]
    for meaning in meanings:
        print(explanation_text(meaning))
    if target is not None:
        write_text(target, explanation_page(meanings))
        print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return DONE


def _sound(codec: SemantiCodec, item: Input) -> Sound:
    import torch

    from semanticodec.pages.meaning import Sound
    from semanticodec.pages.short_sound import read_short_sound

    with item.opened() as file:
        wav = read_short_sound(file, item.name, MAX_SECONDS)
    return Sound(item.name, wav, codec.encode(torch.from_numpy(wav)))
