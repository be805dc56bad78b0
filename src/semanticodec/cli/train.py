"""`semanticodec train STAGE`: train one box of the codec, or resume a run."""

import argparse
from pathlib import Path

from semanticodec.errors import ConfigError
from semanticodec.recipes import STAGES


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `train` command."""
    parser = subparsers.add_parser(
        "train",
        help="train one box of the codec",
        description="Train one box of the codec. The same command with the same --out resumes "
        "(but for codebook, which starts again). "
        "For several processes: torchrun --nproc-per-node N --no-python semanticodec train ...",
    )
    parser.add_argument("stage", choices=sorted(STAGES), help="the box to train")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="SOURCE",
        help="folders, .csv or .jsonl manifests, WebDataset .tar shards",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder")
    parser.add_argument("--recipe", default="small", help="name of the recipe (default: small)")
    parser.add_argument(
        "--box",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="export of a finished box that this stage builds on; may be repeated",
    )
    parser.add_argument("--init", type=Path, metavar="EXPORT", help="start from these weights")
    parser.add_argument("--steps", type=int, help="optimizer steps in all")
    parser.add_argument("--minutes", type=float, help="stop after this time (resumable)")
    parser.add_argument("--batch-size", type=int, help="items per step and process")
    parser.add_argument("--lr", type=float, help="learning rate after warm-up")
    parser.add_argument("--seed", type=int, help="seed of weights, crops and noise")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    parser.add_argument("--threads", type=int, help="CPU threads of the model")
    parser.add_argument("--workers", type=int, default=2, help="threads that load audio")
    parser.add_argument("--half", action="store_true", help="export weights as float16")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def parse_boxes(texts: list[str]) -> dict[str, Path]:
    """Return the folders of `--box NAME=FOLDER` by name.

    Raises:
        ConfigError: a text of another form.
    """
    boxes: dict[str, Path] = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise ConfigError(f"--box {text!r} is not understood; write NAME=FOLDER.")
        # The weights in an export name it as well as its folder does.
        boxes[name] = Path(folder).parent if Path(folder).is_file() else Path(folder)
    return boxes


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    recipes = STAGES[args.stage]()
    if args.recipe not in recipes:
        raise ConfigError(
            f"There is no recipe {args.recipe!r} for {args.stage}; "
            f"choose one of {', '.join(recipes)}."
        )
    from semanticodec.training.train import RunOptions

    recipes[args.recipe]().run(
        RunOptions(
            data=tuple(args.data),
            out=args.out,
            boxes=parse_boxes(args.box),
            init=args.init,
            steps=args.steps,
            batch_size=args.batch_size,
            lr=args.lr,
            seed=args.seed,
            device=args.device,
            num_threads=args.threads,
            num_workers=args.workers,
            minutes=args.minutes,
            is_half=args.half,
            show_progress=not args.quiet,
        )
    )
    return 0
