"""`semanticodec train STAGE`: train one module of the codec, or resume a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from semanticodec.cli.options import named_folders, renamed
from semanticodec.errors import ConfigError
from semanticodec.recipes import STAGES, recipes_of

HELP = "train one module of the codec"
DESCRIPTION = """\
Train one module of the codec. The same command with the same output folder resumes an interrupted
run (except for codebook, which starts again). For several processes:

  torchrun --nproc-per-node N --no-python semanticodec train ...

and on several machines, which see the same data and the same output folder, on each of them:

  torchrun --nnodes M --nproc-per-node N --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
      --no-python semanticodec train ...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the `train` command."""
    parser.add_argument("stage", choices=STAGES, help="name of the module to train")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="SOURCE",
        help="training audio: folders, .csv or .jsonl manifests, WebDataset .tar shards; or a "
        "quoted pattern of shards too many to list, such as 'shards/*.tar', of which each "
        "recording is found when it is drawn",
    )
    output = parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="RUN",
        help="folder of the run: checkpoints, curves and, at the end, RUN/export",
    )
    renamed(parser, output, "--out")
    parser.add_argument(
        "--recipe",
        default="small",
        metavar="NAME",
        help="name of the recipe (default: %(default)s)",
    )
    module = parser.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="export folder of a finished module that this stage builds on; may be repeated",
    )
    renamed(parser, module, "--box")
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what replaces single settings of the recipe, and where and how fast to run."""
    parser.add_argument(
        "--init", type=Path, metavar="EXPORT", help="export folder of the initial weights"
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="number of optimizer steps of the whole run (default: the recipe's)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="time limit of this call in minutes; the same command resumes the run",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="number of items per step and process (default: the recipe's)",
    )
    parser.add_argument(
        "--lr",
        type=float,
        metavar="RATE",
        help="learning rate after the warm-up (default: the recipe's)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="random seed of weights, crops and noise (default: the recipe's)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, or auto for a GPU where there is one (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of CPU threads of the model"
    )
    jobs = parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="number of threads that load audio (default: %(default)s)",
    )
    renamed(parser, jobs, "--workers")
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FOLDER",
        help="for codebook: folder on each machine's own disk that keeps features, so that further "
        "runs on the same data and processes start with them (default: none are kept)",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="store the exported weights as float16, at half the size",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    recipes = recipes_of(args.stage)
    if args.recipe not in recipes:
        raise ConfigError(
            f"There is no recipe {args.recipe!r} for {args.stage}; "
            f"choose one of {', '.join(recipes)}."
        )
    if args.features is not None and args.stage != "codebook":
        raise ConfigError(f"{args.stage} has no use for --features; leave it out.")
    from semanticodec.training.train import RunOptions

    export = recipes[args.recipe]().run(
        RunOptions(
            data=tuple(args.data),
            out=args.output,
            modules=named_folders("--module", args.module),
            init=args.init,
            steps=args.steps,
            batch_size=args.batch_size,
            lr=args.lr,
            seed=args.seed,
            device=args.device,
            num_threads=args.threads,
            num_jobs=args.jobs,
            features=args.features,
            minutes=args.minutes,
            is_half=args.half,
            show_progress=not args.quiet,
        )
    )
    if export is not None and not args.quiet:
        # A codec is a whole model; all other exports are parts for the stages after them.
        is_whole = args.stage in ("codec", "decoder")
        use = f"--model {export}" if is_whole else f"--module {args.stage}={export}"
        print(f"exported to {export}: use it as {use}")
    return 0
