"""What short live windows cost: quality and computation of `encode_stream` and `StreamDecoder`.

    python -m benchmarks.streaming speech/ music/ general/ --clips 3
    python -m benchmarks.streaming clips/ --windows 0.32 0.64 --context 1.28

Every window length goes over the first 10.24 s of the first clips of every folder. A window of
10.24 s is decoded as `decode_stream` does, shorter ones with `--context` and `--overlap`. STOI is
of folders named `speech*` alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.common import add_common_options, written_json
from semanticodec import SemantiCodec, StreamDecoder
from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.audio.io import load_audio
from semanticodec.audio.windows import OVERLAP_SAMPLES
from semanticodec.evaluation.metrics.intelligibility import stoi
from semanticodec.evaluation.metrics.spectral import mel_distance
from semanticodec.evaluation.metrics.visqol import visqol_speech
from semanticodec.evaluation.tables import plain_table
from semanticodec.listing import AUDIO_SUFFIXES, walk
from semanticodec.streaming import CONTEXT_S, OVERLAP_S
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES

WINDOWS_S = (0.64, 1.28, 2.56, 10.24)
LONGEST_S = WINDOW_SAMPLES / SAMPLE_RATE


def streamed(
    codec: SemantiCodec, wav: Float[np.ndarray, " S"], window_s: float, args: argparse.Namespace
) -> tuple[Float[np.ndarray, " S"], dict[str, float]]:
    """Return what a clip sounds like after live coding, and CPU seconds per window."""
    options = {"context_s": args.context, "overlap_s": args.overlap}
    live = {} if window_s == LONGEST_S else {"window_s": window_s, **options}
    started = time.process_time()
    codes = list(codec.encode_stream([wav], window_s=window_s))
    encoded = time.process_time()
    decoder = StreamDecoder(codec, **live)
    blocks = [*map(decoder.push, codes), decoder.finish()]
    decoded = time.process_time()
    # A last, shorter window counts by its length.
    num_windows = len(wav) / (window_s * SAMPLE_RATE)
    seconds = {
        "encode": (encoded - started) / num_windows,
        "decode": (decoded - encoded) / num_windows,
    }
    return torch.cat(blocks, dim=-1).flatten().numpy(), seconds


def measure(
    codec: SemantiCodec, path: Path, window_s: float, args: argparse.Namespace
) -> dict[str, Any]:
    """Return quality and computation of one clip and one window length."""
    wav = load_audio(path)[:WINDOW_SAMPLES].numpy()
    decoded, seconds = streamed(codec, wav, window_s, args)
    row = {"clip": path.name, "domain": path.parent.name, "window_s": window_s, **seconds}
    row |= {"mel": mel_distance(wav, decoded), "visqol": visqol_speech(wav, decoded)}
    if path.parent.name.startswith("speech"):
        row["stoi"] = stoi(wav, decoded)
    return row


def latency_s(window_s: float, args: argparse.Namespace) -> float:
    """Return seconds from a sample to its decoded one, the longest, without computation."""
    look_ahead_s = LOOKAHEAD_SAMPLES / SAMPLE_RATE
    if window_s == LONGEST_S:  # windows of codes and of decoding do not lie on each other
        return 2 * window_s - OVERLAP_SAMPLES / SAMPLE_RATE + look_ahead_s
    return window_s + look_ahead_s + args.overlap


def table(rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> list[str]:
    """Return the means over clips, a line per window length."""
    domains = sorted({row["domain"] for row in rows})
    header = ["window s", "latency s", "encode CPU s", "decode CPU s"]
    header += [f"{metric} {domain}" for domain in domains for metric in ("MEL", "ViSQOL")]
    lines = defaultdict(list)
    for row in rows:
        lines[row["window_s"]].append(row)
    cells = []
    for window_s, found in lines.items():
        line = [f"{window_s:g}", f"{latency_s(window_s, args):.2f}"]
        line += [f"{fmean(row[name] for row in found):.2f}" for name in ("encode", "decode")]
        for domain in domains:
            of_domain = [row for row in found if row["domain"] == domain]
            line += [f"{fmean(row['mel'] for row in of_domain):.3f}"]
            line += [f"{fmean(row['visqol'] for row in of_domain):.2f}"]
        spoken = [row["stoi"] for row in found if "stoi" in row]
        cells.append((*line, f"{fmean(spoken):.3f}" if spoken else "-"))
    return plain_table((*header, "STOI"), cells)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="sound files")
    parser.add_argument(
        "--clips", type=int, default=3, metavar="N", help="clips of each folder (default: 3)"
    )
    parser.add_argument(
        "--windows",
        type=float,
        nargs="+",
        default=WINDOWS_S,
        metavar="S",
        help="window lengths in seconds (default: 0.64 1.28 2.56 10.24)",
    )
    parser.add_argument(
        "--context",
        type=float,
        default=CONTEXT_S,
        metavar="S",
        help="seconds of codes before a window that are decoded with it (default: %(default)s)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=OVERLAP_S,
        metavar="S",
        help="seconds of cross-fade (default: %(default)s)",
    )
    add_common_options(parser)
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    codec = SemantiCodec.from_pretrained(args.model)
    clips = [
        path
        for folder in args.folders
        for path in sorted(walk(folder, AUDIO_SUFFIXES))[: args.clips]
    ]
    measure(codec, clips[0], LONGEST_S, args)  # what only a first call computes
    rows = [measure(codec, path, window_s, args) for window_s in args.windows for path in clips]
    sys.stdout.write("\n".join(table(rows, args)) + "\n")
    written_json(args, "streaming", {"rows": rows})


if __name__ == "__main__":
    main()
