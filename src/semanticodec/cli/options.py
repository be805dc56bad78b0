"""Options that several commands share, and the codec that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from semanticodec.cli.standard_streams import print_to_stderr
from semanticodec.decoder.sampling import QUALITIES, SAMPLERS, SamplingConfig
from semanticodec.device import AUTO, DTYPES, checked_device
from semanticodec.errors import ConfigError
from semanticodec.runtimes import RUNTIMES, use_runtime

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

    Subparsers = argparse._SubParsersAction[Any]


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line and leaves the usage to --help."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"semanticodec: error: {message}; see `{self.prog} --help`\n")


def add_commands(subparsers: Subparsers, commands: Mapping[str, ModuleType]) -> None:
    """Add a parser for each command by its name; descriptions keep their lines."""
    for name, command in commands.items():
        parser = subparsers.add_parser(
            name,
            aliases=getattr(command, "ALIASES", ()),
            help=command.HELP,
            description=command.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(parser)


def positive_int(text: str) -> int:
    """Return a whole number of at least one, or raise what argparse reports."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return value


class _RenamedOption(argparse.Action):
    """An option's old spelling: works as the new one and says so in one line."""

    def __init__(self, option_strings: Sequence[str], current: argparse.Action) -> None:
        convert: Any = current.type  # argparse's stubs know types that `Action` does not take
        super().__init__(
            option_strings,
            dest=current.dest,
            nargs=current.nargs,
            const=current.const,
            default=argparse.SUPPRESS,
            type=convert,
            choices=current.choices,
            help=argparse.SUPPRESS,
        )
        self.current = current

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        new = self.current.option_strings[-1]
        print_to_stderr(f"semanticodec: {option_string} is now called {new}")
        self.current.required = False  # argparse looks for the action itself among those it met
        self.current(parser, namespace, values, option_string)


def renamed(parser: argparse._ActionsContainer, current: argparse.Action, *old: str) -> None:
    """Let an option's old spellings work for one more version.

    Args:
        parser: parser or group that has the option.
        current: what `add_argument` returned for the new spelling.
        old: old spellings, hidden from --help.
    """
    parser._add_action(_RenamedOption(old, current))


def named_folders(option: str, texts: Sequence[str]) -> dict[str, Path]:
    """Return the folders of a repeated option with values of the form NAME=FOLDER, by name.

    Args:
        option: spelling of the option, for the message.
        texts: all its values.
    Raises:
        ConfigError: a text of another form, or a name that comes twice.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise ConfigError(f"{option} {text!r} is not understood; write NAME=FOLDER")
        if name in folders:
            raise ConfigError(f"{option} {name} is given twice; name one folder")
        folders[name] = Path(folder)
    return folders


def add_inputs(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the positional arguments that name what to work on."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help=f"{what}, folder, quoted pattern, or - for stdin",
    )


def add_model_options(parser: argparse.ArgumentParser, choose_rate: bool = True) -> None:
    """Add --model, --device, --dtype, --threads and, for encoding, the model's settings."""
    group = add_model_choice(parser, choose_rate)
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="precision of the model (default: %(default)s)",
    )
    group.add_argument(
        "--threads",
        type=positive_int,
        metavar="N",
        help="number of CPU threads (default: as torch decides)",
    )


def add_model_choice(
    parser: argparse.ArgumentParser, choose_rate: bool = True
) -> argparse._ArgumentGroup:
    """Add --model, --device and, for encoding, the model's settings; return their group."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="FOLDER|HUB_ID",
        help="model folder (config.json and *.safetensors) or Hub repository "
        "(default: the built-in model)",
    )
    if choose_rate:
        group.add_argument(
            "--token-rate",
            type=positive_int,
            metavar="N",
            help="tokens per second: 25, 50 or 100 (default: the model's default)",
        )
        group.add_argument(
            "--semantic-vocab-size",
            type=positive_int,
            metavar="N",
            help="number of entries of the semantic codebook (default: the model's largest)",
        )
    add_device_option(group)
    return group


def add_device_option(group: argparse._ActionsContainer) -> None:
    """Add --device."""
    group.add_argument(
        "--device",
        default=AUTO,
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, mps, or auto for the fastest one present (default: %(default)s)",
    )


OLD_SAMPLING_OPTIONS = {"num_steps": "--steps", "guidance_scale": "--guidance"}


def _add_sampling_option(group: argparse._ActionsContainer, setting: Field[Any]) -> None:
    """Add the option of one field of `SamplingConfig`; left out, the model's own value applies."""
    default: Any = setting.default
    kind = type(default)
    settings = {key: setting.metadata[key] for key in ("help", "metavar")}
    if setting.name == "sampler":
        settings["choices"] = tuple(SAMPLERS)
    elif kind is tuple:
        settings.update(type=float, nargs=len(default))
    else:
        settings["type"] = positive_int if kind is int else kind
    option = group.add_argument(f"--{setting.name.replace('_', '-')}", **settings)
    if setting.name in OLD_SAMPLING_OPTIONS:
        renamed(group, option, OLD_SAMPLING_OPTIONS[setting.name])


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of sampling, the runtime and the batch size."""
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        default="standard",
        help="named sampling settings of the model, of which the options below replace single "
        "ones (default: %(default)s). `semanticodec info` shows what the names stand for: one "
        "setting may have several",
    )
    for setting in fields(SamplingConfig):
        _add_sampling_option(group, setting)
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="random seed of the initial noise (default: %(default)s)",
    )
    group.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="torch",
        help="software that computes the sound: torch (default), onnx (onnxruntime: faster on "
        "CPUs in float32) or compiled (torch.compile: a minute or more at the first decode)",
    )
    group.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="number of windows of 10.24 s computed together, small files of a folder among "
        "them, which changes rounding (default: as many as the device has room for; "
        "1: every file by itself)",
    )


def sampling_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the decode options ask of `SemantiCodec.sampling`."""
    values = {setting.name: getattr(args, setting.name) for setting in fields(SamplingConfig)}
    tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return {"quality": args.quality, **values, **tuples}


def add_output_options(parser: argparse.ArgumentParser, output_help: str) -> None:
    """Add -o, what to do about files that exist, and how to report."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="FILE|FOLDER", help=output_help)
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="overwrite existing files")
    existing.add_argument(
        "--skip-existing", action="store_true", help="skip inputs whose output file exists"
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="report one JSON object per input, with its status: done, skipped or failed",
    )
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def load_codec(
    args: argparse.Namespace, token_rate: int | None, semantic_vocab_size: int | None
) -> SemantiCodec:
    """Return the codec that the model options ask for.

    Args:
        args: parsed arguments with `model`, `device`, `dtype`, `threads`, and `runtime` to decode.
        token_rate: tokens per second; None for the model's default.
        semantic_vocab_size: entries of the semantic codebook; None for the model's default.
    Raises:
        ConfigError: the device is unknown or not there, the model lacks the setting, or the
            runtime does not fit device and dtype.
        MissingDependencyError: the runtime is not installed.
    """
    import torch

    from semanticodec import SemantiCodec

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    runtime = getattr(args, "runtime", "torch")  # commands that only encode have none
    is_for_cpu = runtime == "onnx" and args.device == AUTO
    codec = SemantiCodec.from_pretrained(
        args.model,
        token_rate=token_rate,
        semantic_vocab_size=semantic_vocab_size,
        device="cpu" if is_for_cpu else checked_device(args.device),
        dtype=getattr(torch, args.dtype),
    )
    use_runtime(codec, runtime)
    return codec
