"""`semanticodec info`: metadata of `.smtc` files, corpora and model folders; torch for corpora."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from semanticodec.checkpoints.index import (
    CONFIG_NAME,
    DEFAULT_MODEL,
    read_index,
    weight_files,
)
from semanticodec.cli.inputs import CODE_SUFFIXES, Input, expand
from semanticodec.cli.report import (
    DONE,
    STATUS_DONE,
    STATUS_FAILED,
    USER_ERROR,
    error_text,
    print_error,
)
from semanticodec.corpus.description import DESCRIPTION_NAME
from semanticodec.decoder.sampling import SamplingConfig, SamplingPresets, qualities
from semanticodec.errors import CheckpointError, ContainerError, SemantiCodecError
from semanticodec.token_format import vocab_size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from semanticodec.container import PayloadCoder
    from semanticodec.container.framing import Streams

HELP = "show the metadata of .smtc files, corpora or models"
DESCRIPTION = """\
Show the metadata of .smtc files, of which every block is checked as `decode` checks it, of corpora
that `tokenize` wrote, which are read as a whole, or of model folders.

  semanticodec info speech.smtc
  semanticodec info codes/ --json
  semanticodec info corpus/                           hours, tokens, use of the codes
  semanticodec info                                   the built-in model
"""

Facts = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help=".smtc file, folder, quoted pattern, - for stdin, corpus or model folder "
        "(default: the built-in model)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="report one JSON object per input, with its status: done or failed",
    )


def run(args: argparse.Namespace) -> int:
    """Describe every input and return the exit status: 2 when one is damaged."""
    status = DONE
    for facts, error in _described(args.inputs or [DEFAULT_MODEL]):
        if args.json:
            result = {} if error is None else {"error": error_text(error)}
            outcome = STATUS_DONE if error is None else STATUS_FAILED
            print(json.dumps({**facts, "status": outcome, **result}))
        elif len(facts) > 1:
            print(_text(facts))
        if error is not None:
            print_error(error, next(iter(facts.values())))
            status = USER_ERROR
    return status


def _described(arguments: list[Any]) -> Iterator[tuple[Facts, Exception | None]]:
    """Yield what is known of every input, its name first, and what is wrong with it."""
    for argument in arguments:
        kind = _kind_of_folder(argument)
        if kind is not None:
            facts: Facts = {kind: str(argument)}
            try:
                yield {**facts, **_DESCRIBE[kind](Path(argument))}, None
            except (SemantiCodecError, OSError) as error:
                yield facts, error
            continue
        try:
            items = expand([argument], CODE_SUFFIXES)
        except SemantiCodecError as error:
            yield {"file": argument}, error
            continue
        for item in items:
            facts = {"file": item.name}
            try:
                described, problem = describe_stream(item)
                yield {**facts, **described}, problem
            except (SemantiCodecError, OSError) as error:
                yield facts, error


def _kind_of_folder(argument: Any) -> str | None:
    """Return what a folder is, by the file that describes it; None: neither model nor corpus."""
    if argument is DEFAULT_MODEL or os.path.isfile(os.path.join(argument, CONFIG_NAME)):
        return "model"
    return "corpus" if os.path.isfile(os.path.join(argument, DESCRIPTION_NAME)) else None


def describe_stream(item: Input) -> tuple[Facts, ContainerError | None]:
    """Return the facts of one `.smtc` file, and why `decode` would refuse it.

    Raises:
        ContainerError: not a `.smtc` file, or nothing behind its header.
    """
    from semanticodec.container import Reader, read_header
    from semanticodec.container.framing import block_size

    with item.opened() as file:
        header = read_header(file)
        coder = None if header.tables is None else _UnreadPayloads(header.tables)
        file.seek(0)
        problem = _refusal(file, coder)
        file.seek(0)
        with Reader(file, conceal=True, coder=coder) as reader:
            blocks = [(len(block), block.is_concealed) for block in reader]
        num_bytes = file.seek(0, os.SEEK_END)
    plain = replace(header, tables=None)
    plain_bytes = plain.size + sum(block_size(length, plain) for length, _ in blocks)
    num_samples = reader.num_samples_read
    seconds = num_samples / header.sample_rate
    facts = {
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
        **({} if coder is None else {"plain_bytes": plain_bytes}),
        "fingerprint": header.fingerprint.hex(),
    }
    return facts, _with_counts(problem, facts)


class _UnreadPayloads:
    """A coder that takes payloads as they are: only their checksums are checked."""

    def __init__(self, tables: int) -> None:
        self.tables = tables

    def encode(self, semantic: NDArray[np.integer], acoustic: NDArray[np.integer]) -> bytes:
        raise NotImplementedError

    def decode(self, payload: bytes, num_positions: int) -> Streams:
        import numpy as np

        codes = np.zeros(num_positions, np.int64)
        return codes, codes


def _refusal(file: BinaryIO, coder: PayloadCoder | None) -> ContainerError | None:
    """Return what `decode` says of a stream that it refuses."""
    from semanticodec.container import Reader

    try:
        with Reader(file, coder=coder) as reader:
            for _ in reader:
                pass
    except ContainerError as error:
        return error
    return None


def _with_counts(problem: ContainerError | None, facts: Facts) -> ContainerError | None:
    """Return a problem with all that is damaged, where `decode` names the first place only."""
    if problem is None or not (facts["damaged_blocks"] or facts["missing_samples"]):
        return problem
    return ContainerError(
        f"{facts['damaged_blocks']} of {facts['blocks']} blocks are damaged and "
        f"{facts['missing_samples']} samples are missing; fetch or encode it again, "
        "or decode it with --conceal"
    )


def describe_corpus(folder: Path) -> Facts:
    """Return the facts of a corpus, which is read as a whole.

    Raises:
        DataError: a damaged corpus.
    """
    from semanticodec.corpus.summary import summarize

    return summarize(folder)


def describe_model(folder: Path) -> Facts:
    """Return the facts of a model folder: its settings, their sizes and how they are sampled.

    Raises:
        CheckpointError: no model, or files that cannot be read.
    """
    try:
        rates = read_index(folder)["token_rates"]
        settings = [_setting_facts(folder, rate, rates[rate]) for rate in rates]
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{error.filename} is missing; give a folder with {CONFIG_NAME} and its weights"
        ) from error
    except SemantiCodecError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / CONFIG_NAME} does not describe a model of this codec ({error!r}); "
            "restore the file"
        ) from error
    return {"settings": settings}


_DESCRIBE = {"model": describe_model, "corpus": describe_corpus}


def _setting_facts(folder: Path, token_rate: str, setting: Facts) -> Facts:
    files = weight_files(folder, token_rate, setting)
    encoder, decoder = setting["config"]["encoder"], setting["config"]["decoder"]
    return {
        "token_rate": int(token_rate),
        "semantic_vocab_sizes": encoder["semantic"]["vocab_sizes"],
        "acoustic_vocab_size": vocab_size_of(_codebook_size(encoder["quantizer"])),
        "num_parameters": sum(map(_num_parameters, files)),
        "weight_bytes": sum(file.stat().st_size for file in files),
        "qualities": _qualities(decoder),
    }


def _codebook_size(quantizer: Facts) -> int:
    """Return how many codes a quantizer has, from its settings in config.json."""
    if "codebook_size" in quantizer:
        return quantizer["codebook_size"]
    # It follows from other settings, which only the quantizer's class knows (and that needs torch).
    from semanticodec.config import config_from_dict
    from semanticodec.encoder.quantizer import QuantizerConfig

    return config_from_dict(QuantizerConfig, quantizer).codebook_size


def _qualities(decoder: Facts) -> dict[str, Facts]:
    """Return the sampling settings that the names of --quality stand for."""
    standard = SamplingConfig(**decoder.get("sampling", {}))
    presets = {
        name: SamplingConfig(**preset)
        for name, preset in decoder.get("sampling_presets", {}).items()
        if preset is not None
    }
    chosen = qualities(standard, SamplingPresets(**presets))
    return {name: asdict(settings) for name, settings in chosen.items()}


def _num_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds, from its header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); download it again"
        ) from error


def _text(facts: Facts) -> str:
    lines = []
    for name, value in facts.items():
        if name == "settings":
            lines += [line for setting in value for line in _setting_lines(setting)]
        elif not lines:  # the name of what is described
            lines.append(str(value))
        else:
            shown = ", ".join(value) if isinstance(value, list) else value
            lines.append(f"  {name.replace('_', ' '):22} {shown}")
    return "\n".join(lines)


def _setting_lines(setting: Facts) -> list[str]:
    vocab_sizes = ", ".join(map(str, setting["semantic_vocab_sizes"]))
    names_of: dict[str, list[str]] = {}
    for name, sampling in setting["qualities"].items():
        names_of.setdefault(_sampling_text(sampling), []).append(name)
    return [
        f"  {setting['token_rate']} tokens/s, semantic vocabulary {vocab_sizes}, acoustic "
        f"{setting['acoustic_vocab_size']}, {setting['num_parameters'] / 1e6:.1f} M parameters, "
        f"{setting['weight_bytes'] / 1e6:.1f} MB",
        *(f"    quality {' = '.join(names)}: {text}" for text, names in names_of.items()),
    ]


def _sampling_text(sampling: Facts) -> str:
    return (
        f"{sampling['sampler']}, {sampling['num_steps']} steps, "
        f"guidance scale {sampling['guidance_scale']:g}, eta {sampling['eta']:g}"
    )
