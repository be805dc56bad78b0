"""Pieces of recordings: where they are cut, and what happens to recordings that are broken."""

import io

import numpy as np
import pytest
import soundfile

from semanticodec.errors import AudioError, DataError
from semanticodec.training.data import CropConfig, CropSource
from semanticodec.training.reader import MAX_FAILURES, BrokenRecordings, read_piece
from semanticodec.training.sources import AudioEntry, find_entries
from semanticodec.training.windows import WindowSource


def ramp(num_samples):
    """Samples that tell where they stand."""
    return np.arange(num_samples, dtype=np.int16)


def flac_without_length(path, samples):
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16000, format="FLAC", subtype="PCM_16")
    content = bytearray(stream.getvalue())
    # The 36 bits of the number of samples in STREAMINFO.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert soundfile.info(path).frames > 2**60
    return path


@pytest.fixture
def entry(tmp_path):
    soundfile.write(tmp_path / "a.wav", ramp(10_000), 16000, subtype="PCM_16")
    return AudioEntry(path=str(tmp_path / "a.wav"), domain="all")


@pytest.mark.parametrize(
    ("settings", "first", "count"),
    [
        ({}, 0, 1000),
        ({"start": 2500}, 2500, 1000),
        ({"start": 9500}, 9500, 500),
        ({"position": 0.5}, 4500, 1000),
        ({"position": 0.9999}, 9000, 1000),
        ({"start": 100, "lookahead": 40}, 100, 1040),
        ({"position": 0.9999, "lookahead": 40}, 9000, 1000),
    ],
)
def test_pieces_lie_where_they_were_asked_for(entry, settings, first, count):
    piece = read_piece(entry, 1000, **settings)
    assert (piece * 32768).round().astype(int).tolist() == list(range(first, first + count))


def test_a_place_after_the_end_is_refused(entry):
    with pytest.raises(AudioError, match=r"a\.wav holds no samples there"):
        read_piece(entry, 1000, start=10_000)


def test_a_recording_of_unknown_length_is_one_like_any_other(tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    flac_without_length(folder / "live.flac", ramp(10_000))
    soundfile.write(folder / "whole.flac", ramp(10_000), 16000, subtype="PCM_16")
    live, whole = find_entries((folder,))
    assert live.duration_s == whole.duration_s == 10_000 / 16_000
    for settings in ({"start": 2500}, {"position": 0.7}, {"start": 100, "speed": 1.1}):
        ours, theirs = (read_piece(each, 1000, **settings) for each in (live, whole))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_one_broken_recording_does_not_end_the_training(tmp_path, caplog):
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", np.full(4000, 0.25), 16000)
    entries = find_entries((tmp_path,))
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    for source in (CropSource, WindowSource):
        caplog.clear()
        config = CropConfig(crop_samples=100, cache_bytes=0)
        drawing = source(entries, config)
        for seed in range(30):
            wav = drawing.draw(np.random.default_rng(seed))["wav"]
            np.testing.assert_allclose(wav[:100], 0.25, atol=1e-4)
        # Named, counted, and not complained about again.
        [message] = caplog.messages
        assert "1.wav" in message and "1 so far" in message


def test_too_many_broken_recordings_end_the_training():
    entries = [AudioEntry(path=f"{number}.wav", domain="all") for number in range(100)]
    broken = BrokenRecordings(len(entries))
    for entry in entries[:50] * 3:
        broken.add(entry, AudioError("cut off"))
    assert len(broken) == 50
    with pytest.raises(DataError, match=r"51 recordings could not be decoded.*50\.wav: cut off"):
        broken.add(entries[50], AudioError("cut off"))
    few = BrokenRecordings(3)
    for entry in entries[:MAX_FAILURES]:
        few.add(entry, AudioError("cut off"))
    assert len(few) == MAX_FAILURES
