"""Reading, mixing and resampling: every input form, exact lengths, clear errors."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.audio.io import load_audio, read_blocks, save_audio, waveforms
from semanticodec.errors import AudioError


def tone(num_samples: int, rate: int, frequency_hz: float = 440.0) -> np.ndarray:
    time = np.arange(num_samples) / rate
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_reads_every_common_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(16_000, 16_000), 16_000)
    wav = load_audio(path)
    assert abs(len(wav) - 16_000) < 2000  # mp3 pads
    assert 0.3 < wav.abs().max() < 0.6


@settings(max_examples=25, deadline=None)
@given(
    num_samples=st.integers(1, 30_000),
    rate=st.sampled_from([8000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000]),
)
def test_resampled_length_is_exact(num_samples: int, rate: int) -> None:
    (wav,) = waveforms(tone(num_samples, rate), rate)
    assert len(wav) == -(-num_samples * 16_000 // rate)


def test_resampling_keeps_a_tone_and_removes_one_above_the_band() -> None:
    inside = waveforms(tone(48_000, 48_000, 1000.0), 48_000)[0][2000:-2000]
    above = waveforms(tone(48_000, 48_000, 12_000.0), 48_000)[0][2000:-2000]
    expected = torch.from_numpy(tone(16_000, 16_000, 1000.0))[2000:-2000]
    assert torch.allclose(inside, expected, atol=1e-3)
    assert above.abs().max() < 1e-3


def test_file_and_array_give_the_same_samples(tmp_path: Path) -> None:
    samples = np.stack([tone(500_000, 44_100, 300.0), tone(500_000, 44_100, 900.0)])
    soundfile.write(tmp_path / "stereo.wav", samples.T, 44_100, subtype="FLOAT")
    from_file = load_audio(tmp_path / "stereo.wav")
    (from_array,) = waveforms(samples, 44_100)
    assert torch.allclose(from_file, from_array, atol=1e-6)


def test_channels_are_averaged() -> None:
    channels = np.stack([np.full(1000, 0.5), np.full(1000, -0.1)] * 4).astype(np.float32)
    assert torch.allclose(waveforms(channels)[0], torch.full((1000,), 0.2), atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.int16, 16384), (np.int32, 2**30), (np.uint8, 192), (np.float64, 0.5)]
)
def test_integers_are_scaled(dtype: type, value: float) -> None:
    (wav,) = waveforms(np.full(500, value, dtype=dtype))
    assert torch.allclose(wav, torch.full((500,), 0.5))


def test_batches_and_lists_become_items() -> None:
    items = waveforms([torch.zeros(3, 2, 500), np.zeros(700, dtype=np.float32)])
    assert [len(wav) for wav in items] == [500, 500, 500, 700]


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(16_000 * 25, 16_000), 16_000)
    assert [len(block) for block in read_blocks(path)] == [160_000, 160_000, 80_000]


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.full(1000, np.nan, dtype=np.float32), "NaN"),
        (np.full(1000, np.inf, dtype=np.float32), "infinite"),
        (np.zeros((1000, 2), dtype=np.float32), "transposed"),
        (np.zeros((1, 1, 1, 5), dtype=np.float32), "shape"),
        (np.zeros(5, dtype=np.complex64), "complex64"),
        ([], "empty list"),
        (3.5, "float is not audio"),
        (Path("nowhere.wav"), "does not exist"),
        (b"RIFF nonsense", "not readable audio"),
    ],
)
def test_wrong_input_is_named(audio: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        waveforms(audio)  # type: ignore[arg-type]


def test_text_named_wav_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("this is no sound")
    with pytest.raises(AudioError, match=r"text\.wav is not readable audio"):
        load_audio(path)


def test_saved_file_reads_back_and_leaves_no_partial(tmp_path: Path) -> None:
    wav = torch.from_numpy(tone(4000, 16_000))
    for suffix in ("wav", "flac"):
        save_audio(tmp_path / f"out.{suffix}", wav)
        assert torch.allclose(load_audio(tmp_path / f"out.{suffix}"), wav, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.flac", "out.wav"]
    with pytest.raises(AudioError, match=r"\.txt"):
        save_audio(tmp_path / "out.txt", wav)
