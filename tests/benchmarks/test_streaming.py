"""What short windows cost: clips keep their length, and the latency is what the page says."""

from argparse import Namespace

import numpy as np
import pytest

from benchmarks.streaming import latency_s, streamed, table

ARGS = Namespace(context=0.64, overlap=0.08)


@pytest.mark.parametrize("window_s", [0.64, 10.24])
def test_clips_keep_their_length(quick_codec, window_s):
    wav = np.random.default_rng(0).normal(0, 0.1, 25_000).astype(np.float32)
    decoded, seconds = streamed(quick_codec, wav, window_s, ARGS)
    assert decoded.shape == wav.shape and decoded.std() > 0
    assert set(seconds) == {"encode", "decode"} and min(seconds.values()) > 0


def test_latency_is_that_of_the_page():
    assert latency_s(0.64, ARGS) == pytest.approx(0.735)
    assert latency_s(10.24, ARGS) == pytest.approx(19.855)


def test_a_line_per_window_length():
    row = {"domain": "music", "encode": 0.1, "decode": 0.2, "mel": 1.0, "visqol": 3.0}
    rows = [row | {"window_s": window_s} for window_s in (0.64, 0.64, 1.28)]
    assert len(table(rows, ARGS)) == 1 + 2
