"""Reading, mixing and resampling: every input form, exact lengths, clear errors."""

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.audio.io import load_audio, read_blocks, read_segment, save_audio
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


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(16_000 * 25, 16_000), 16_000)
    assert [len(block) for block in read_blocks(path)] == [160_000, 160_000, 80_000]


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


@pytest.mark.parametrize("rate", [8000, 44_100, 192_000, 384_000])
@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"]
)
def test_samples_of_any_type_and_rate_are_the_same_sound(subtype: str, rate: int) -> None:
    memory = io.BytesIO()
    soundfile.write(memory, tone(rate // 5, rate), rate, subtype, format="WAV")
    wav = load_audio(memory.getvalue())
    assert len(wav) == 3200
    assert torch.allclose(wav, torch.from_numpy(tone(3200, 16_000)), atol=0.05)


def test_files_that_cannot_be_sought_in_have_parts() -> None:
    memory = io.BytesIO()
    soundfile.write(memory, tone(16_000, 8000), 8000, "GSM610", format="WAV")
    part = np.concatenate(list(read_segment(memory.getvalue(), 0.5, 0.5)))
    whole = load_audio(memory.getvalue()).numpy()
    assert np.array_equal(part, whole[8000:16_000])


# --- headers that lie ---


@pytest.mark.parametrize("read", [read_blocks, lambda source: read_segment(source, 0.0)])
@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_rates_that_no_recording_has_are_refused(rate: int, read) -> None:
    memory = io.BytesIO()
    soundfile.write(memory, tone(500, 16_000), 16_000, format="WAV")
    data = bytearray(memory.getvalue())
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(AudioError, match=f"a sample rate of {rate} Hz; 100 to 10000000 Hz"):
        list(read(bytes(data)))


def test_a_header_asks_for_no_more_memory_than_a_block() -> None:
    memory = io.BytesIO()
    soundfile.write(memory, np.zeros((5000, 8)), 48_000, format="FLAC")
    data = bytearray(memory.getvalue())
    rate, channels, bits, length = 655_350, 8, 16, 2**36 - 1  # RFC 9639, Section 8.2
    field = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | length
    data[18:26] = field.to_bytes(8, "big")
    tracemalloc.start()
    total = sum(len(block) for block in read_blocks(bytes(data)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == -(-5000 * 16_000 // rate)
    assert peak < 100_000_000  # two blocks; 10 s of such samples would be 210 MB
