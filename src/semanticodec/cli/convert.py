"""`semanticodec convert`: the official checkpoints to a folder of config.json and safetensors."""

from __future__ import annotations

import argparse
import time

from semanticodec.checkpoints.index import CONFIG_NAME
from semanticodec.cli.outputs import free_folder
from semanticodec.errors import ConfigError

HELP = "convert official checkpoints to a model folder"
DESCRIPTION = """\
Convert the official SemantiCodec checkpoints to a model folder, for --model and from_pretrained.

  semanticodec convert --token-rate 50 --semantic-vocab-size 16384 -o official-50
  semanticodec convert --encoder encoder.ckpt --decoder decoder.ckpt \\
                       --codebook codebook_8192_0.npy --token-rate 50 -o official-50

Without files they come from the Hugging Face Hub (some GB, kept in its cache). The official weights
were trained by their authors on top of AudioMAE (CC-BY-NC) and AudioLDM 2 (CC-BY-NC-SA): those
licenses bind whoever uses them.
"""
RATES = (25, 50, 100)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="output folder of the model"
    )
    parser.add_argument(
        "--token-rate",
        type=int,
        choices=RATES,
        required=True,
        help="tokens per second of the checkpoints",
    )
    parser.add_argument(
        "--semantic-vocab-size",
        type=int,
        metavar="N",
        help="number of entries of the semantic codebook on the Hub: 4096, 8192, 16384 (default) "
        "or 32768",
    )
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the Hub")
    parser.add_argument("--encoder", metavar="CKPT", help="path of encoder.ckpt")
    parser.add_argument("--decoder", metavar="CKPT", help="path of decoder.ckpt")
    parser.add_argument(
        "--codebook", metavar="NPY", help="path of the semantic codebook, a .npy file"
    )
    parser.add_argument(
        "--half", action="store_true", help="store weights as float16, at half the size"
    )
    parser.add_argument("--overwrite", action="store_true", help="overwrite an existing model")


def run(args: argparse.Namespace) -> int:
    """Convert one setting and return the exit status."""
    folder = free_folder(args, CONFIG_NAME, "a model")
    has_files = any((args.encoder, args.decoder, args.codebook))
    if has_files and args.semantic_vocab_size is not None:
        raise ConfigError(
            "--semantic-vocab-size chooses a codebook on the Hub; "
            "with files, the codebook's own size counts: leave it out"
        )
    started = time.perf_counter()

    import torch

    from semanticodec import SemantiCodec

    codec = SemantiCodec.from_official(
        encoder=args.encoder,
        decoder=args.decoder,
        codebook=args.codebook,
        token_rate=args.token_rate,
        semantic_vocab_size=args.semantic_vocab_size or 16384,
        revision=args.revision,
    )
    codec.save_pretrained(folder, dtype=torch.float16 if args.half else None)
    print(
        f"{folder}: {codec.token_rate} tokens/s, semantic vocabulary {codec.semantic_vocab_size}, "
        f"{codec.bitrate / 1000:.2f} kbps, in {time.perf_counter() - started:.0f} s"
    )
    return 0
