"""Options that several commands share, and the codec that they ask for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from semanticodec.decoder.sampling import DTYPES, QUALITIES, SAMPLERS
from semanticodec.errors import ConfigError
from semanticodec.runtimes import RUNTIMES, use_runtime

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line and leaves the usage to --help."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"semanticodec: error: {message}; see `{self.prog} --help`\n")


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
        super().__init__(
            option_strings,
            dest=current.dest,
            nargs=current.nargs,
            const=current.const,
            default=argparse.SUPPRESS,
            type=current.type,
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
        print(f"semanticodec: {option_string} is now called {new}", file=sys.stderr)
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
        option: how the option is spelled, for the message.
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


def add_model_options(parser: argparse.ArgumentParser, choose_rate: bool = True) -> None:
    """Add --model, --device, --dtype, --threads and, for encoding, the model's settings."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="FOLDER|HUB_ID",
        help="folder of config.json and *.safetensors, or a Hub repository "
        "(default: the built-in model)",
    )
    if choose_rate:
        group.add_argument(
            "--token-rate",
            type=positive_int,
            metavar="N",
            help="tokens per second, for models with several rates: 25, 50 or 100",
        )
        group.add_argument(
            "--semantic-vocab-size",
            type=positive_int,
            metavar="N",
            help="entries of the semantic codebook, for models with several",
        )
    group.add_argument(
        "--device",
        default="cpu",
        help="cpu (default), cuda, cuda:1, mps, or auto for the fastest one present",
    )
    group.add_argument("--dtype", choices=DTYPES, default="float32", help="default: %(default)s")
    group.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads")


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """Add the sampler's options; the model's own defaults apply where one is left out."""
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        default="standard",
        help="the model's settings by name; the options below replace single ones of them "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--steps", type=positive_int, metavar="N", help="diffusion steps: more is slower and finer"
    )
    group.add_argument(
        "--sampler", choices=SAMPLERS, help="how steps are taken: ddim, or one that needs fewer"
    )
    group.add_argument(
        "--guidance", type=float, metavar="W", help="weight of the codes over the free guess"
    )
    group.add_argument(
        "--guidance-interval",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="guide at these noise levels only, 0 (none) to 1 (all noise); saves time",
    )
    group.add_argument(
        "--eta", type=float, metavar="E", help="noise added at each step, 0 (none) to 1"
    )
    group.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    group.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="torch",
        help="what computes the sound: torch (default), onnx (onnxruntime: faster on CPUs in "
        "float32) or compiled (torch.compile: a minute or more at the first decode)",
    )
    group.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="windows of 10.24 s computed together, small files of a folder among them, which "
        "changes rounding (default: what the device has room for; 1: every file by itself)",
    )


def sampling_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the decode options ask of `SemantiCodec.sampling`."""
    return {
        "num_steps": args.steps,
        "guidance_scale": args.guidance,
        "sampler": args.sampler,
        "eta": args.eta,
        "quality": args.quality,
        "guidance_interval": args.guidance_interval and tuple(args.guidance_interval),
    }


def add_output_options(parser: argparse.ArgumentParser, output_help: str) -> None:
    """Add -o, what to do about files that exist, and how to report."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="FILE|FOLDER", help=output_help)
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace files that exist")
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave out inputs whose output exists"
    )
    group.add_argument("--json", action="store_true", help="report one JSON object per file")
    group.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def load_codec(
    args: argparse.Namespace, token_rate: int | None, semantic_vocab_size: int | None
) -> SemantiCodec:
    """Return the codec that the model options ask for.

    Args:
        args: with `model`, `device`, `dtype` and `threads`, and `runtime` where it decodes.
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
    codec = SemantiCodec.from_pretrained(
        args.model,
        token_rate=token_rate,
        semantic_vocab_size=semantic_vocab_size,
        device=checked_device(args.device),
        dtype=getattr(torch, args.dtype),
    )
    use_runtime(codec, getattr(args, "runtime", "torch"))  # commands that only encode have none
    return codec


def checked_device(name: str) -> str:
    """Return a device's name; that of the fastest one present for `auto`.

    Raises:
        ConfigError: no such device, or not on this machine.
    """
    import torch

    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"'{name}' is not a device; choose cpu, cuda, cuda:N, mps or auto"
        ) from error
    present = {"cpu": True, "cuda": (device.index or 0) < torch.cuda.device_count(), "mps": has_mps}
    if not present.get(device.type, False):
        raise ConfigError(f"this machine has no device '{name}'; choose cpu or auto")
    return name
