"""Reading, mixing and resampling: every input form, exact lengths, clear errors."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.audio.io import load_audio, read_blocks, save_audio
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
