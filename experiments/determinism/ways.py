"""`python -m experiments.determinism.ways [FILE ...]`: one recording, coded in all ways.

What the built-in model computes alone, at once and in one thread is compared with what it computes
in a batch, as a stream, for windows one by one and in several threads. Without files the recording
is made up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.determinism.clips import clip
from semanticodec import Codes, SemantiCodec, StreamDecoder
from semanticodec.audio.io import load_audio

SEED = 3
NUM_CLIPS = 7
# Of the short recording: one window, and so nothing to give to other cores.
SHORT_SAMPLES = 80_000
BLOCK_SAMPLES = (1_600, 37, 50_000)
NUM_JOINED = 4


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute in a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def streamed_codes(codec: SemantiCodec, wav: Tensor) -> Codes:
    """Return the codes of a recording that arrives in uneven blocks."""
    blocks, start = [], 0
    while start < len(wav):
        length = BLOCK_SAMPLES[len(blocks) % len(BLOCK_SAMPLES)]
        blocks.append(wav[start : start + length])
        start += length
    windows = list(codec.encode_stream(blocks))
    ids = torch.cat([window.stacked() for window in windows], dim=2)
    return codec.codes_from(ids, num_samples=[len(wav)])


def live_wav(codec: SemantiCodec, codes: Codes) -> Tensor:
    """Return what a decoder gives that is handed the codes in two parts."""
    decoder = StreamDecoder(codec, seed=SEED)
    middle = codes.num_positions[0] // 2 // 64 * 64
    parts = [decoder.push(part) for part in _halves(codec, codes, middle)]
    return torch.cat([*parts, decoder.finish()], dim=-1)


def _halves(codec: SemantiCodec, codes: Codes, middle: int) -> list[Codes]:
    ids, num_samples = codes.stacked(), middle * codec.format.samples_per_position
    rest = codes.num_samples[0] - num_samples
    return [
        codec.codes_from(ids[:, :, :middle]),
        codec.codes_from(ids[:, :, middle:], num_samples=[rest]),
    ]


def code_rows(codec: SemantiCodec, wav: Tensor, codes: Codes) -> Iterator[tuple[str, str]]:
    """Yield the ways to encode, and how many codes differ."""
    yield "again", _different(codes, codec.encode(wav))
    yield "in a batch of three", _different(codes, codec.encode([wav[:SHORT_SAMPLES], wav, wav])[1])
    yield "as a live stream", _different(codes, streamed_codes(codec, wav))
    with threads(2):
        yield "two threads", _different(codes, codec.encode(wav))
        short = codec.encode(wav[:SHORT_SAMPLES])
    yield "two threads, 5 s", _different(codec.encode(wav[:SHORT_SAMPLES]), short)


def wav_rows(codec: SemantiCodec, codes: Codes, short: Codes) -> Iterator[tuple[str, str]]:
    """Yield the ways to decode, and how far the waveforms are apart."""
    wav, short_wav = codec.decode(codes, seed=SEED), codec.decode(short, seed=SEED)
    yield "again", apart(wav, codec.decode(codes, seed=SEED))
    together = codec.decode(Codes.cat([short, codes, codes]), seed=SEED)
    yield "in a batch of three", apart(wav, together[1:2])
    blocks = list(codec.decode_stream(codes, seed=SEED))
    yield "as a stream (`decode_stream`)", apart(wav, torch.cat(blocks, dim=-1))
    singly = codec.decode(codes, seed=SEED, batch_size=1)
    yield "windows one by one (`batch_size=1`)", apart(wav, singly)
    yield (
        "live (`StreamDecoder`) against windows one by one",
        apart(singly, live_wav(codec, codes)),
    )
    joined = codec.decode(Codes.cat([short, codes]), seed=SEED, batch_size=NUM_JOINED)
    yield f"in a batch with `batch_size={NUM_JOINED}`", apart(wav, joined[1:2])
    with threads(2):
        yield "two threads, windows to each", apart(wav, codec.decode(codes, seed=SEED))
        yield "two threads in operations, 5 s", apart(short_wav, codec.decode(short, seed=SEED))


def _different(codes: Codes, other: Codes) -> str:
    differs = codes.stacked() != other.stacked()
    return f"{int(differs.sum())} of {differs.numel()}"


def apart(wav: Tensor, other: Tensor) -> str:
    """Return the largest difference of two samples, `0` only for the same bits."""
    return "0" if torch.equal(wav, other) else f"{float((wav - other).abs().max()):.1g}"


def recording(files: Sequence[Path]) -> Tensor:
    """Return the files one after the other, or made-up clips."""
    if files:
        return torch.cat([load_audio(path) for path in files])
    return torch.from_numpy(np.concatenate([clip(number) for number in range(NUM_CLIPS)]))


def main(files: Sequence[Path]) -> None:
    """Measure and print the table."""
    codec, wav = SemantiCodec.from_pretrained(), recording(files)
    with threads(1):
        codes, short = codec.encode(wav), codec.encode(wav[:SHORT_SAMPLES])
        print(f"{len(wav) / 16000:.1f} s\n\n| codes | differ |\n|---|---|")
        for name, value in code_rows(codec, wav, codes):
            print(f"| {name} | {value} |")
        print("\n| waveform | largest difference |\n|---|---|")
        for name, value in wav_rows(codec, codes, short):
            print(f"| {name} | {value} |")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
