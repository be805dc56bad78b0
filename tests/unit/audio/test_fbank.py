"""The Kaldi filter bank: equal to kaldi-native-fbank and to the golden arrays."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.audio.fbank import (
    LOG_FLOOR,
    LOOKAHEAD_SAMPLES,
    Fbank,
    normalize_fbank,
    window_fbank,
)
from semanticodec.errors import AudioError
from semanticodec.token_format import WINDOW_SAMPLES

TOLERANCE_LOG_UNITS = 1e-3


def kaldi(wav: np.ndarray, num_mel_bins: int) -> np.ndarray:
    options = knf.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hanning"
    options.frame_opts.samp_freq = 16_000
    options.mel_opts.num_bins = num_mel_bins
    options.use_energy = False
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(16_000, wav.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])


@pytest.mark.parametrize("num_mel_bins", [80, 126])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), num_samples=st.integers(400, 20_000), level=st.floats(0.01, 1.0))
def test_equals_kaldi(num_mel_bins: int, seed: int, num_samples: int, level: float) -> None:
    noise = np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)
    wav = level * noise / np.abs(noise).max()
    ours = Fbank(num_mel_bins)(torch.from_numpy(wav).unsqueeze(0))[0].numpy()
    theirs = kaldi(wav, num_mel_bins)
    assert ours.shape == theirs.shape == (1 + (num_samples - 400) // 160, num_mel_bins)
    # Both compute in float32. In a bin that is 60 dB below its neighbors kaldi-native-fbank is
    # now and then 1e-3 away from its own formula: that much is its, not ours.
    exact = Fbank(num_mel_bins).double()(torch.from_numpy(wav).double().unsqueeze(0))[0].numpy()
    their_rounding = np.abs(theirs - exact)
    assert (np.abs(ours - theirs) < TOLERANCE_LOG_UNITS + their_rounding).all()
    assert np.median(np.abs(ours - theirs)) < 1e-4


def test_the_empty_bin_stays_at_the_floor() -> None:
    energies = Fbank(128)(torch.randn(1, 1600))
    assert torch.allclose(energies[..., 3], torch.tensor(LOG_FLOOR).log())
    assert (energies[..., 4] > energies[..., 3]).all()


def test_ignores_a_constant_offset() -> None:
    wav = torch.randn(1, 3200) * 0.1
    fbank = Fbank()
    assert torch.allclose(fbank(wav), fbank(wav + 0.3), atol=2e-2)


def test_last_window_ends_in_two_rows_without_samples() -> None:
    window = window_fbank(Fbank(), torch.randn(1, WINDOW_SAMPLES) * 0.1)
    zero = normalize_fbank(torch.zeros(1))
    assert window.shape == (1, 1024, 128)
    assert torch.equal(window[0, -2:], zero.expand(2, 128))
    assert not torch.isclose(window[0, -3], zero).all()


def test_windows_with_lookahead_equal_the_whole_recording() -> None:
    fbank = Fbank()
    wav = torch.randn(1, 2 * WINDOW_SAMPLES) * 0.1
    whole = window_fbank(fbank, wav)
    first = window_fbank(fbank, wav[:, : WINDOW_SAMPLES + LOOKAHEAD_SAMPLES])
    second = window_fbank(fbank, wav[:, WINDOW_SAMPLES:])
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-5)


def test_gradient_reaches_the_waveform() -> None:
    wav = (torch.randn(2, 1600) * 0.1).requires_grad_()
    Fbank()(wav).sum().backward()
    assert wav.grad is not None and wav.grad.isfinite().all() and (wav.grad != 0).any()


def test_short_audio_is_refused_with_its_length() -> None:
    with pytest.raises(AudioError, match="399 samples.*at least 400"):
        Fbank()(torch.zeros(1, 399))
