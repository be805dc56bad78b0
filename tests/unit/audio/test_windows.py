"""Cutting and joining: nothing is lost, whatever the length and the blocks."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.audio.windows import (
    HOP_SAMPLES,
    OVERLAP_SAMPLES,
    decode_ranges,
    encode_windows,
    overlap_add,
)
from semanticodec.token_format import WINDOW_SAMPLES


@settings(max_examples=30, deadline=None)
@given(
    num_samples=st.integers(1, 3 * WINDOW_SAMPLES + 500),
    block=st.integers(1000, 400_000),
    pads_windows=st.booleans(),
)
def test_windows_hold_every_sample_once(num_samples: int, block: int, pads_windows: bool) -> None:
    wav = np.arange(1, num_samples + 1, dtype=np.float32)
    blocks = [wav[start : start + block] for start in range(0, num_samples, block)]
    windows = list(encode_windows(blocks, pads_windows))
    assert [window.is_last for window in windows] == [False] * (len(windows) - 1) + [True]
    assert sum(window.num_samples for window in windows) == num_samples
    joined = torch.cat([window.wav[0, : window.num_samples] for window in windows])
    assert torch.equal(joined, torch.from_numpy(wav))
    assert all(window.num_samples == WINDOW_SAMPLES for window in windows[:-1])


def test_full_windows_see_the_start_of_the_next() -> None:
    wav = np.arange(1, WINDOW_SAMPLES + 101, dtype=np.float32)
    first, last = encode_windows([wav])
    assert first.wav.shape[1] == WINDOW_SAMPLES + LOOKAHEAD_SAMPLES
    assert torch.equal(first.wav[0, WINDOW_SAMPLES:][:100], torch.from_numpy(wav[-100:]))
    assert (first.wav[0, WINDOW_SAMPLES + 100 :] == 0).all()
    assert last.wav.shape[1] == WINDOW_SAMPLES and (last.wav[0, 100:] == 0).all()


def test_remainders_can_keep_their_own_length() -> None:
    (window,) = encode_windows([np.ones(5121, dtype=np.float32)], pads_windows=False)
    assert window.wav.shape[1] == 2 * 5120 + LOOKAHEAD_SAMPLES and window.num_samples == 5121
    assert (window.wav[0, 5121:] == 0).all()


def test_exactly_one_window_has_no_empty_follower() -> None:
    assert len(list(encode_windows([np.ones(WINDOW_SAMPLES, dtype=np.float32)]))) == 1


@settings(max_examples=50, deadline=None)
@given(num_positions=st.integers(1, 5000), per_window=st.sampled_from([128, 256, 512]))
def test_decode_ranges_cover_all_positions(num_positions: int, per_window: int) -> None:
    ranges = decode_ranges(num_positions, per_window)
    assert ranges[0][0] == 0 and ranges[-1][1] == num_positions
    for (_, end), (start, _) in zip(ranges, ranges[1:]):
        assert end - start == per_window // 16


@settings(max_examples=20, deadline=None)
@given(num_windows=st.integers(1, 5), cut=st.integers(0, HOP_SAMPLES - 1))
def test_overlap_add_of_a_constant_is_the_constant(num_windows: int, cut: int) -> None:
    num_samples = num_windows * HOP_SAMPLES + OVERLAP_SAMPLES - cut
    windows = (torch.ones(WINDOW_SAMPLES) for _ in range(num_windows))
    wav = torch.cat(list(overlap_add(windows, num_samples)))
    assert wav.shape == (num_samples,)
    assert torch.allclose(wav, torch.ones(num_samples), atol=1e-6)


def test_overlap_add_keeps_every_sample_in_its_place() -> None:
    signal = torch.randn(2 * HOP_SAMPLES + WINDOW_SAMPLES)
    windows = (
        signal[start : start + WINDOW_SAMPLES] for start in (0, HOP_SAMPLES, 2 * HOP_SAMPLES)
    )
    joined = torch.cat(list(overlap_add(windows, len(signal))))
    assert torch.allclose(joined, signal, atol=1e-6)
