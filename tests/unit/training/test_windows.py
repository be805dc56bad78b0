"""Laws of drawing windows: even cover, joining, speed, and recordings that are broken."""

import numpy as np
import pytest
import soundfile

from semanticodec.errors import DataError
from semanticodec.token_format import WINDOW_SAMPLES
from semanticodec.training.data import CropConfig
from semanticodec.training.sources import find_entries
from semanticodec.training.windows import WindowSource, read_window
from tiny_modules import write_audio


def test_evenly_spaced_points_cover_every_recording_by_its_duration(tmp_path):
    source = WindowSource(find_entries((write_audio(tmp_path, seconds=(3.0, 12.0)),)), CropConfig())
    rng = np.random.default_rng(0)
    lengths = [source.window((i + 0.5) / 15, rng)["num_samples"].item() for i in range(15)]
    assert sorted(lengths) == [48000] * 3 + [WINDOW_SAMPLES] * 12


def test_domain_weights_stretch_the_domains(tmp_path):
    entries = find_entries((write_audio(tmp_path, seconds=(3.0,)),))
    weights = (("general", 1.0), ("music", 3.0), ("speech", 0.0))
    source = WindowSource(entries, CropConfig(domain_weights=weights))
    rng = np.random.default_rng(0)
    drawn = [source.window((i + 0.5) / 8, rng)["wav"][:10] for i in range(8)]
    known = [read_window(entry)[:10] for entry in entries]
    rows = [next(i for i, start in enumerate(known) if (start == wav).all()) for wav in drawn]
    assert rows == [0, 0, 1, 1, 1, 1, 1, 1]
    with pytest.raises(DataError, match=r"weighs the domains .*'birds'.*\['general', 'music'"):
        WindowSource(entries, CropConfig(domain_weights=(("birds", 1.0),)))


def test_joined_windows_are_filled_from_their_own_domain(tmp_path):
    rng = np.random.default_rng(0)
    for domain, level in (("loud", 0.5), ("quiet", 0.1)):
        (tmp_path / domain).mkdir()
        for number in range(2):
            soundfile.write(tmp_path / domain / f"{number}.wav", np.full(30_000, level), 16000)
    source = WindowSource.find((tmp_path,), CropConfig()).varied(1.0)
    for point, level in ((0.2, 0.5), (0.45, 0.5), (0.7, 0.1), (0.95, 0.1)):
        item = source.window(point, rng)
        assert item["num_samples"] == WINDOW_SAMPLES
        np.testing.assert_allclose(item["wav"], level, atol=1e-4)


def test_speed_moves_the_pitch_of_a_window(tmp_path):
    (tmp_path / "music").mkdir()
    times = np.arange(32_000) / 16_000
    soundfile.write(tmp_path / "music" / "0.wav", 0.5 * np.sin(2 * np.pi * 1000 * times), 16000)
    source = WindowSource.find((tmp_path,), CropConfig()).varied(0.0, speeds=(1.1, 1.1))
    item = source.window(0.0, np.random.default_rng(0))
    num_samples = int(item["num_samples"])
    assert num_samples == pytest.approx(32_000 / 1.1, abs=2)
    spectrum = np.abs(np.fft.rfft(item["wav"][:num_samples]))
    assert spectrum.argmax() * 16_000 / num_samples == pytest.approx(1100, abs=1)


def test_a_drawn_window_is_a_function_of_the_numbers_it_gets(tmp_path):
    source = WindowSource.find((write_audio(tmp_path),), CropConfig(gain_db=(-6.0, 6.0))).varied(
        0.5
    )
    for seed in range(4):
        one, two = (source.draw(np.random.default_rng(seed)) for _ in range(2))
        assert one["num_samples"] == two["num_samples"]
        assert (one["wav"] == two["wav"]).all()
        assert (one["wav"][one["num_samples"] :][240:] == 0).all()


def test_a_damaged_recording_gives_way_to_the_next(tmp_path, caplog):
    entries = find_entries((write_audio(tmp_path, domains=("music",)),))
    (tmp_path / "music" / "0.wav").write_bytes(b"RIFF")
    item = WindowSource(entries, CropConfig()).window(0.0, np.random.default_rng(0))
    assert item["num_samples"] == WINDOW_SAMPLES
    assert "0.wav" in caplog.text
    (tmp_path / "music" / "1.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="could not be decoded"):
        WindowSource(entries, CropConfig()).window(0.0, np.random.default_rng(0))
