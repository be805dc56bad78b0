"""`semanticodec info`: what a `.smtc` file or a model folder says about itself, without torch."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semanticodec.cli.inputs import CODE_SUFFIXES, Input, expand
from semanticodec.cli.report import DONE, USER_ERROR, print_error
from semanticodec.errors import CheckpointError, ContainerError, SemantiCodecError

if TYPE_CHECKING:
    from semanticodec.cli.options import Subparsers

DESCRIPTION = """\
Say what is in .smtc files (every block is checked) or in model folders.

  semanticodec info speech.smtc
  semanticodec info codes/ --json
  semanticodec info                                   the built-in model
"""
CONFIG_NAME = "config.json"


def add_parser(subparsers: Subparsers) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        "info",
        help="what a .smtc file or a model says about itself",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help=".smtc file, glob, folder or -; model folder; none for the built-in model",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per file")


def run(args: argparse.Namespace) -> int:
    """Describe every input and return the exit status: 2 when one is damaged."""
    status = DONE
    for argument in args.inputs or [str(Path(__file__).parent.parent / "default_model")]:
        try:
            if (Path(argument) / CONFIG_NAME).is_file() or not args.inputs:
                _tell(describe_model(Path(argument)), args.json)
                continue
            items = expand([argument], CODE_SUFFIXES)
        except SemantiCodecError as error:
            print_error(error)
            status = USER_ERROR
            continue
        for item in items:
            try:
                facts = describe_stream(item)
                _tell(facts, args.json)
                _check_whole(facts)
            except BrokenPipeError:
                raise  # nobody reads on: no fault of this file
            except (SemantiCodecError, OSError) as error:
                print_error(error, item.name)
                status = USER_ERROR
    return status


def describe_stream(item: Input) -> dict[str, Any]:
    """Return the facts of one `.smtc` file; damaged blocks are counted.

    Raises:
        ContainerError: not a `.smtc` file, or nothing behind its header.
    """
    from semanticodec.container import Reader

    with item.opened() as file, Reader(file, conceal=True) as reader:
        header = reader.header
        blocks = [(len(block), block.is_concealed) for block in reader]
        num_bytes = file.tell()
    num_samples = reader.num_samples_read
    seconds = num_samples / header.sample_rate
    return {
        "file": item.name,
        "token_rate": header.token_rate,
        "semantic_vocab_size": header.semantic_vocab_size,
        "acoustic_vocab_size": header.acoustic_vocab_size,
        "sample_rate": header.sample_rate,
        "num_samples": num_samples,
        "seconds": round(seconds, 6),
        "blocks": len(blocks),
        "damaged_blocks": sum(is_damaged for _, is_damaged in blocks),
        "missing_samples": 0 if header.num_samples is None else header.num_samples - num_samples,
        "positions": sum(length for length, _ in blocks),
        "bytes": num_bytes,
        "kbps": round(num_bytes * 8 / seconds / 1000, 4),
        "fingerprint": header.fingerprint.hex(),
    }


def describe_model(folder: Path) -> dict[str, Any]:
    """Return the facts of a model folder: the settings it offers and its sizes.

    Raises:
        CheckpointError: no model, or files that cannot be read.
    """
    try:
        rates = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))["token_rates"]
        settings = [_setting_facts(folder, int(rate), rates[rate]) for rate in rates]
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{error.filename} is missing; give a folder with {CONFIG_NAME} and its weights"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / CONFIG_NAME} does not describe a model of this codec ({error!r}); "
            "restore the file"
        ) from error
    return {"model": str(folder), "settings": settings}


def _setting_facts(folder: Path, token_rate: int, setting: dict[str, Any]) -> dict[str, Any]:
    encoder = setting["config"]["encoder"]
    files = [folder / name for name in setting["weights"]]
    return {
        "token_rate": token_rate,
        "semantic_vocab_sizes": encoder["semantic"]["vocab_sizes"],
        "acoustic_vocab_size": encoder["quantizer"]["codebook_size"],
        "values": sum(map(_num_values, files)),
        "weight_bytes": sum(file.stat().st_size for file in files),
    }


def _num_values(path: Path) -> int:
    """Return how many numbers a safetensors file holds, from its header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); download it again"
        ) from error


def _check_whole(facts: dict[str, Any]) -> None:
    if facts["damaged_blocks"] or facts["missing_samples"]:
        raise ContainerError(
            f"{facts['damaged_blocks']} of {facts['blocks']} blocks are damaged and "
            f"{facts['missing_samples']} samples are missing; fetch or encode it again, "
            "or decode it with --conceal"
        )


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    lines = []
    for name, value in facts.items():
        if name == "settings":
            lines += [f"  {_readable(setting)}" for setting in value]
        elif name in ("file", "model"):
            lines.append(str(value))
        else:
            lines.append(f"  {name.replace('_', ' '):20} {value}")
    print("\n".join(lines))


def _readable(setting: dict[str, Any]) -> str:
    vocab_sizes = ", ".join(map(str, setting["semantic_vocab_sizes"]))
    return (
        f"{setting['token_rate']} tokens/s, semantic vocabulary {vocab_sizes}, acoustic "
        f"{setting['acoustic_vocab_size']}, {setting['values'] / 1e6:.1f} M values, "
        f"{setting['weight_bytes'] / 1e6:.1f} MB"
    )
