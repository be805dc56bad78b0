"""`semanticodec export`: the decoder as ONNX files, for other runtimes."""

from __future__ import annotations

import argparse
import time

from semanticodec.cli.options import add_model_options, load_codec
from semanticodec.cli.outputs import free_folder
from semanticodec.cli.report import DONE
from semanticodec.device import AUTO
from semanticodec.errors import CheckpointError

HELP = "export the decoder to ONNX files"
DESCRIPTION = """\
Write the decoder as ONNX files: a diffusion step (unet.onnx), the VAE decoder (vae.onnx) and the
vocoder (vocoder.onnx; of a vocoder with a harmonic source the pitch, too, which it takes:
pitch.onnx), with export.json, which lists their inputs. Float32; batches of any number of windows,
of any multiple of 0.32 s.

  semanticodec export -o onnx/
  semanticodec export --model official-50 -o onnx-50/ --check

Needs: pip install 'semanticodec[onnx]'.
"""
INDEX_NAME = "export.json"
LARGEST_ERROR = 1e-4  # relative; rounding alone stays below 1e-5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="output folder of the ONNX files"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="also run the files in onnxruntime and compare the results with torch's",
    )
    parser.add_argument("--overwrite", action="store_true", help="overwrite an existing export")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Export one model and return the exit status."""
    folder = free_folder(args, INDEX_NAME, "an export")
    if args.device == AUTO:
        args.device = "cpu"  # where ONNX files are made
    started = time.perf_counter()

    from semanticodec.runtimes.onnx_export import check_export, export_decoder
    from semanticodec.runtimes.onnx_session import require

    if args.check:
        require("onnxruntime", "running ONNX graphs")
    codec = load_codec(args, args.token_rate, args.semantic_vocab_size)
    export_decoder(codec, folder, show_progress=True)
    num_bytes = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    elapsed = time.perf_counter() - started
    print(f"{folder}: {codec.token_rate} tokens/s, {num_bytes / 1e6:.0f} MB, in {elapsed:.0f} s")
    if args.check:
        errors = check_export(folder, codec)
        for name, error in errors.items():
            print(f"{name}.onnx: largest difference from torch {error:.1e} of the largest value")
        if max(errors.values()) > LARGEST_ERROR:
            raise CheckpointError(f"{folder} differs from torch by more than {LARGEST_ERROR:.0e}")
    return DONE
