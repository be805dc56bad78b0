"""The ways to code one recording, on a tiny codec."""

from dataclasses import replace

import torch

from experiments.determinism.ways import SEED, apart, code_rows, live_wav, streamed_codes
from semanticodec.token_format import WINDOW_SAMPLES

# Two windows; the codes are handed over in two parts.
WAV = 0.1 * torch.randn(WINDOW_SAMPLES + 30_000, generator=torch.Generator().manual_seed(0))


def test_a_live_stream_keeps_length_and_codes(quick_codec):
    assert streamed_codes(quick_codec, WAV) == quick_codec.encode(WAV)


def test_codes_that_differ_are_counted(quick_codec):
    codes = quick_codec.encode(WAV)
    others = replace(codes, semantic=(codes.semantic + 1) % quick_codec.semantic_vocab_size)
    number = codes.semantic.numel()
    assert next(code_rows(quick_codec, WAV, codes)) == ("again", f"0 of {2 * number}")
    assert next(code_rows(quick_codec, WAV, others)) == ("again", f"{number} of {2 * number}")


def test_waveforms_of_other_codes_are_apart(quick_codec):
    codes = quick_codec.encode(WAV)
    wav = quick_codec.decode(codes, seed=SEED)
    assert apart(wav, live_wav(quick_codec, codes)) == "0"
    assert float(apart(wav, wav + 0.25)) == 0.2
