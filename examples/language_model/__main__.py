"""`python -m examples.language_model`: cut, train, continue; see README.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from examples.language_model.continuation import Drawing, continue_codes
from examples.language_model.model import layout_of, load_model
from examples.language_model.pictures import draw_continuation, draw_losses
from examples.language_model.pieces import encode_prompt, write_manifest
from examples.language_model.sequences import PIECES_PER_ROW
from examples.language_model.training import Settings, train
from semanticodec.audio.io import save_audio

DESCRIPTION = """\
Train a small language model of codes, and let it go on where a recording stops.

  python -m examples.language_model cut recordings/ -o pieces.jsonl
  semanticodec tokenize pieces.jsonl -o corpus/ --token-rate 25 --semantic-vocab-size 4096
  python -m examples.language_model train corpus/ --valid held-out/ -o lm/
  python -m examples.language_model continue lm/ prompt.wav -o continued/
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.language_model",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_cut(commands.add_parser("cut", help="list pieces of 2.56 s of the recordings of a folder"))
    _add_train(commands.add_parser("train", help="train a model on the codes of such pieces"))
    _add_continue(commands.add_parser("continue", help="let a model continue a recording"))
    return parser


def _add_cut(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recordings", type=Path, metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.jsonl")
    parser.set_defaults(run=_cut)


def _add_train(parser: argparse.ArgumentParser) -> None:
    defaults = Settings()
    parser.add_argument("corpus", type=Path, help="folder of `semanticodec tokenize`")
    parser.add_argument("--valid", type=Path, required=True, help="one of other recordings")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--model", metavar="FOLDER|HUB_ID", help="codec (default: built-in)")
    for name in ("width", "depth", "epochs", "batch_size", "seed"):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, metavar="N")
    parser.add_argument("--lr", type=float, default=defaults.lr, metavar="RATE")
    parser.set_defaults(run=_train)


def _add_continue(parser: argparse.ArgumentParser) -> None:
    defaults = Drawing()
    parser.add_argument("lm", type=Path, help="folder of a trained model")
    parser.add_argument("recording", type=Path, help="sound file whose start is the prompt")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--model", metavar="FOLDER|HUB_ID", help="codec (default: built-in)")
    parser.add_argument(
        "--pieces", type=int, default=1, metavar="N", help="length of the prompt, times 2.56 s"
    )
    parser.add_argument("--temperature", type=float, default=defaults.temperature, metavar="T")
    parser.add_argument("--top-k", type=int, default=defaults.top_k, metavar="N")
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="N")
    parser.set_defaults(run=_continue)


def _cut(args: argparse.Namespace) -> None:
    print(f"{args.output}: {write_manifest(args.recordings, args.output)} pieces")


def _train(args: argparse.Namespace) -> None:
    names = ("width", "depth", "epochs", "batch_size", "lr", "seed")
    settings = Settings(**{name: getattr(args, name) for name in names})
    report = train(args.corpus, args.valid, args.output, settings, args.model)
    draw_losses(report, args.output / "losses.png")
    best = min(report["model"], key=lambda each: each["both"])
    for name, found in [*report["counts"].items(), ("GPT", best)]:
        print(f"{name}: {found['semantic']:.2f} semantic, {found['acoustic']:.2f} acoustic")


def _continue(args: argparse.Namespace) -> None:
    model, codec = load_model(args.lm, args.model)
    prompt = encode_prompt(codec, args.recording, min(args.pieces, PIECES_PER_ROW - 1))
    drawing = Drawing(temperature=args.temperature, top_k=args.top_k, seed=args.seed)
    codes = continue_codes(model, layout_of(codec), prompt, model.config.n_positions - 1, drawing)
    wav = codec.decode(codes)[0, 0]
    args.output.mkdir(parents=True, exist_ok=True)
    save_audio(args.output / "continued.wav", wav)
    draw_continuation(wav, prompt.duration_s[0], args.output / "continued.png")
    print(f"{args.output / 'continued.wav'}: {prompt.duration_s[0]:.2f} s heard, then on")


def main(words: Sequence[str] | None = None) -> None:
    """Run one command."""
    args = build_parser().parse_args(words)
    args.run(args)


if __name__ == "__main__":
    main()
