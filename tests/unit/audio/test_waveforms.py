"""What users give as audio: every form gives the right samples, or a sentence that says what to."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.audio.io import load_audio
from semanticodec.audio.waveforms import recordings
from semanticodec.errors import AudioError


def waveforms(audio, sample_rate: int | None = None) -> list[torch.Tensor]:
    """Return every recording in `audio` as a float32 mono waveform at 16 kHz."""
    found = [
        np.concatenate([np.zeros(0, np.float32), *recording.blocks])
        for recording in recordings(audio, sample_rate)
    ]
    assert all(wav.dtype == np.float32 for wav in found)
    return [torch.from_numpy(wav) for wav in found]


def tone(num_samples: int, rate: int, frequency_hz: float = 440.0) -> np.ndarray:
    time = np.arange(num_samples) / rate
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


# --- rates and channels ---


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
    assert torch.allclose(waveforms(channels[None])[0], torch.full((1000,), 0.2), atol=1e-6)
    assert torch.allclose(waveforms(channels[:2])[0], torch.full((1000,), 0.2), atol=1e-6)


def test_files_keep_any_number_of_channels(tmp_path: Path) -> None:
    channels = np.stack([tone(2000, 16_000, 100.0 * number) for number in range(1, 9)])
    soundfile.write(tmp_path / "eight.wav", channels.T, 16_000, subtype="FLOAT")
    (wav,) = waveforms(tmp_path / "eight.wav")
    assert torch.allclose(wav, torch.from_numpy(channels.mean(axis=0)), atol=1e-6)


@pytest.mark.parametrize("rate", [0, -1, 44_100.5, float("nan"), "16000", True, 1, 10**30])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(AudioError, match="sample rate of .* is impossible"):
        waveforms(tone(1000, 16_000), rate)  # type: ignore[arg-type]


# --- shapes ---


@pytest.mark.parametrize(
    ("shape", "lengths"),
    [
        ((500,), [500]),
        ((1, 500), [500]),
        ((2, 500), [500]),
        ((3, 1, 500), [500] * 3),
        ((3, 2, 500), [500] * 3),
        ((1, 8, 500), [500]),
    ],
)
def test_shapes_that_are_clear(shape: tuple[int, ...], lengths: list[int]) -> None:
    assert [len(wav) for wav in waveforms(torch.zeros(shape))] == lengths


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((8, 500), r"8 recordings or one of 8 channels; give wav\[:, None\].*\[8, 1, 500\].*or"),
        ((64, 500), r"wav\[None\] \(one recording \[1, 64, 500\]\)"),
        ((500, 1), r"\(transposed\?\).*wav\.T"),
        ((500, 2), r"soundfile's \[samples, channels\] is given as wav\.T"),
        ((500, 6), r"wav\.T\[None\]"),
        ((4, 500, 2), r"transposed\?.*wav\.swapaxes\(1, 2\)"),
        ((4, 500, 500), "500 channels of 500 samples"),
        ((1, 1, 1, 5), r"shape \(1, 1, 1, 5\)"),
        ((), r"shape \(\)"),
        ((0, 500), "no recording is in it"),
        ((0, 1, 500), "no recording is in it"),
        ((3, 0, 500), "no recording is in it"),
    ],
)
@pytest.mark.parametrize("kind", [np.zeros, torch.zeros])
def test_shapes_that_could_mean_two_things_are_refused(kind, shape, sentence) -> None:
    with pytest.raises(AudioError, match=sentence):
        waveforms(kind(shape))


def test_batches_and_lists_become_items() -> None:
    items = waveforms([torch.zeros(3, 2, 500), np.zeros(700, dtype=np.float32)])
    assert [len(wav) for wav in items] == [500, 500, 500, 700]


# --- types ---


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.int8, 64),
        (np.int16, 16384),
        (">i2", 16384),
        (np.int32, 2**30),
        (np.uint8, 192),
        (np.float16, 0.5),
        (np.float64, 0.5),
    ],
)
def test_integers_are_scaled(dtype: type, value: float) -> None:
    (wav,) = waveforms(np.full(500, value, dtype=dtype))
    assert torch.allclose(wav, torch.full((500,), 0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_of_any_float_type_are_taken(dtype: torch.dtype) -> None:
    (wav,) = waveforms(torch.full((500,), 0.5, dtype=dtype, requires_grad=True))
    assert wav.dtype == torch.float32 and torch.equal(wav, torch.full((500,), 0.5))


@pytest.mark.parametrize("wrap", [list, tuple])
@pytest.mark.parametrize("number", [float, np.float32, np.float64])
def test_lists_of_numbers_are_one_recording(wrap: type, number: type) -> None:
    (wav,) = waveforms(wrap(number(0.5) for _ in range(500)))
    assert torch.equal(wav, torch.full((500,), 0.5))


PCM = np.array([0, 8000, -8000] * 200)


@pytest.mark.parametrize(
    ("audio", "sentence"),
    [
        (PCM, "type int64.*int16"),
        (PCM.astype(np.uint16), "type uint16"),
        (PCM > 0, "type bool"),
        (torch.from_numpy(PCM), "type int64"),
        (PCM.tolist(), r"list of integers.*dtype=np\.int16"),
        (PCM.astype(np.float32), "floats up to 8000.*divide them.*32768"),
        (PCM.astype(float).tolist(), "floats up to 8000"),
        (np.full(500, 1e30), r"floats up to 1e\+30"),
    ],
)
def test_samples_that_would_become_silence_or_noise_are_refused(
    audio: object, sentence: str
) -> None:
    with pytest.raises(AudioError, match=sentence):
        waveforms(audio)  # type: ignore[arg-type]


def test_narrow_values_in_32_bits_are_next_to_silence_and_warn() -> None:
    with pytest.warns(UserWarning, match="within 8000.*give them as int16"):
        waveforms(PCM.astype(np.int32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        waveforms(np.zeros(500, np.int32))
        waveforms(np.full(500, 2**30, np.int32))


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.full(1000, np.nan, dtype=np.float32), "NaN"),
        (np.full(1000, np.inf, dtype=np.float32), "infinite"),
        (np.zeros((1000, 2), dtype=np.float32), "transposed"),
        (np.zeros((1, 1, 1, 5), dtype=np.float32), "shape"),
        (np.zeros(5, dtype=np.complex64), "complex64"),
        (np.array(["a", "b"]), "type <U1"),
        ([], "empty list"),
        ((), "empty list"),
        (3.5, "float is not audio"),
        (None, "NoneType is not audio"),
        ({"array": np.zeros(500), "sampling_rate": 8000}, "dict is not audio.*as sample_rate"),
        ((16_000, np.zeros(500)), r"encode\(samples, sample_rate=rate\)"),
        ((np.zeros(500), 16_000), r"encode\(samples, sample_rate=rate\)"),
        (torch.zeros(500).to_sparse(), "sparse"),
        (torch.zeros(500, device="meta"), "meta"),
        (Path("nowhere.wav"), "does not exist"),
        (b"RIFF nonsense", "not readable audio"),
    ],
)
def test_wrong_input_is_named(audio: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        waveforms(audio)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, r"audio\[2\]: NoneType is not audio"),
        (np.full(500, np.nan), r"audio\[2\] holds NaN"),
        (np.zeros((8, 500)), r"audio\[2\] has the shape \(8, 500\)"),
        ([np.zeros(500), np.zeros(500, int)], r"audio\[2\]\[1\] has samples of type int64"),
    ],
)
def test_a_bad_item_of_a_list_is_named(bad: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        waveforms([np.zeros(500), np.zeros(500), bad])


def test_a_bad_item_of_a_batch_is_named() -> None:
    batch = np.zeros((3, 1, 500))
    batch[1, 0, 7] = np.inf
    with pytest.raises(AudioError, match=r"audio\[1\] holds NaN or infinite"):
        waveforms(batch)


def test_recordings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1000, 16_000), 16_000)
    audio = [path, np.zeros(500), path.read_bytes(), np.zeros((2, 1, 500))]
    names = [recording.name for recording in recordings(audio)]
    assert names == [str(path), "audio[1]", "the audio stream", "audio[3][0]", "audio[3][1]"]
