"""`python -m experiments.entropy_tables`: a model's tables for entropy coding, made and tried."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.command import experiment_parser
from semanticodec import Codes, SemantiCodec
from semanticodec.checkpoints.entropy_tables import tables_path, write_tables
from semanticodec.checkpoints.index import DEFAULT_MODEL
from semanticodec.cli import run_command
from semanticodec.cli.inputs import CODE_SUFFIXES, expand
from semanticodec.cli.report import DONE
from semanticodec.container.entropy import EntropyCoder
from semanticodec.errors import DataError
from semanticodec.training.entropy_tables import EntropyRecipe, code_vectors, train_tables

DESCRIPTION = """\
Make the tables that `semanticodec encode --entropy` needs, from .smtc files of one setting, and
say what they save on others. Once for each token rate (and vocabulary):

  semanticodec encode audio/ -o codes-25/ --token-rate 25
  python -m experiments.entropy_tables codes-25/ --held-out eval-25/speech eval-25/music
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("entropy_tables", DESCRIPTION)
    parser.add_argument("codes", nargs="+", metavar="CODES", help=".smtc files or folders of them")
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT_MODEL,
        metavar="FOLDER",
        help="folder of the model that made the codes, which gets the tables "
        "(default: the built-in model)",
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="CODES",
        help=".smtc files or folders, each of which is measured with the tables",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=EntropyRecipe.epochs,
        metavar="N",
        help="number of passes over the codes (default: %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    return parser


def run(args: argparse.Namespace) -> int:
    """Make the tables, measure them and return the exit status."""
    codes = _codes(args.codes)
    held_out = {name: _codes([name]) for name in args.held_out}
    format = codes[0].format
    codec = SemantiCodec.from_pretrained(
        args.model,
        token_rate=format.token_rate,
        semantic_vocab_size=format.semantic_vocab_size,
    )
    if codes[0].fingerprint != codec.model_fingerprint:
        raise DataError(
            f"the codes come from model {codes[0].fingerprint.hex()}, this is "
            f"{codec.model_fingerprint.hex()}: give codes of the model"
        )

    def report(stream: str, bits: float) -> None:
        if not args.quiet:
            print(f"  {stream}: {bits:.2f} bits per code", flush=True)

    vectors = code_vectors(codec)
    tables = train_tables(codes, vectors, EntropyRecipe(epochs=args.epochs), report)
    path = tables_path(args.model, format)
    write_tables(path, tables, codec.model_fingerprint)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, of {_hours(codes):.2f} h")
    coder = EntropyCoder(format, tables)
    for name, items in held_out.items():
        print(f"{name}: {_measured(items, coder)}")
    return DONE


def _codes(arguments: Sequence[str]) -> list[Codes]:
    found = []
    for item in expand(arguments, CODE_SUFFIXES):
        with item.opened() as file:
            found.append(Codes.load(file))
    return found


def _hours(codes: Sequence[Codes]) -> float:
    return sum(sum(item.duration_s) for item in codes) / 3600


def _measured(codes: Sequence[Codes], coder: EntropyCoder) -> str:
    """Return what coding saves and how fast it is, after a check that nothing is lost."""
    window = codes[0].format.positions_per_window
    num_bits, num_positions, encode_s, decode_s = 0, 0, 0.0, 0.0
    for item in codes:
        stacked = item.stacked()[0].cpu()
        for streams in stacked.split(window, dim=1):
            semantic, acoustic = streams.numpy()
            started = time.process_time()
            payload = coder.encode(semantic, acoustic)
            encoded = time.process_time()
            decoded = coder.decode(payload, len(semantic))
            encode_s += encoded - started
            decode_s += time.process_time() - encoded
            if not np.array_equal(np.stack(decoded), streams.numpy()):
                raise DataError("the codes came back as others: the tables are broken")
            num_bits += 8 * len(payload)
            num_positions += len(semantic)
    seconds = 3600 * _hours(codes)
    plain = codes[0].format.bits_per_position
    coded = num_bits / num_positions
    return (
        f"{coded:.2f} of {plain:.0f} bits per position, {1 - coded / plain:.1%} fewer, "
        f"{num_bits / seconds:.0f} bit/s; {seconds / encode_s:.0f} times real time to encode, "
        f"{seconds / decode_s:.0f} to decode"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
