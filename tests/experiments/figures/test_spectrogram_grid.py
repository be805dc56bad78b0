"""Figure 5: tones where they belong, one scale for all, and systems that fail on a clip."""

import numpy as np
import pytest
import soundfile

from experiments.figures.spectrogram_grid import (
    MAX_COLUMNS,
    MAX_ROWS,
    Panel,
    Row,
    draw_spectrogram_grid,
    log_stft,
    reconstructed_rows,
)
from experiments.figures.style import picture_bytes
from semanticodec.errors import AudioError, DataError
from semanticodec.evaluation.suites import open_suite
from semanticodec.evaluation.systems import Reconstruction, open_system

SAMPLE_RATE = 16_000


def tone(frequency, seconds=1.0, volume=0.5):
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (volume * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def restless(seed, seconds=5):
    """Return noise whose level leaps by up to 80 dB: what compresses worst."""
    rng = np.random.default_rng(seed)
    blocks = rng.normal(size=(int(seconds * SAMPLE_RATE) // 512, 512))
    return (blocks * 10 ** rng.uniform(-4, 0, size=(len(blocks), 1))).reshape(-1)


def row(name, *wavs):
    panels = [Panel(title=str(number), wav=wav) for number, wav in enumerate(wavs)]
    return Row(clip=name, panels=tuple(panels))


@pytest.mark.parametrize("frequency", [0, 500, 2000, 7900])
def test_a_tone_is_brightest_at_its_height(frequency):
    wav = tone(frequency) if frequency else np.full(SAMPLE_RATE, 0.5, dtype=np.float32)
    levels = log_stft(wav, MAX_ROWS, MAX_COLUMNS)
    assert levels.shape == (MAX_ROWS, 101)
    assert abs(levels.mean(axis=1).argmax() - frequency / 8000 * MAX_ROWS) <= 1


def test_ten_times_the_amplitude_is_twenty_decibels():
    quiet, loud = (log_stft(tone(440, volume=volume), 96, 160) for volume in (0.05, 0.5))
    assert loud.max() - quiet.max() == pytest.approx(20, abs=0.01)


def test_a_click_is_brightest_at_its_time():
    wav = np.zeros(10 * SAMPLE_RATE, dtype=np.float32)
    wav[6 * SAMPLE_RATE] = 1.0
    levels = log_stft(wav, MAX_ROWS, MAX_COLUMNS)
    assert levels.shape == (MAX_ROWS, MAX_COLUMNS)
    assert levels.mean(axis=0).argmax() == pytest.approx(0.6 * MAX_COLUMNS, abs=1)


def images(figure):
    return [axes.get_images()[0] for axes in figure.axes if axes.get_images()]


def test_all_panels_share_one_scale_and_zero_is_the_original():
    figure = draw_spectrogram_grid([row("loud", tone(440), tone(440, volume=0.05))])
    original, quieter = images(figure)[:2]
    assert original.get_clim() == quieter.get_clim() == (-80, 0)
    assert np.max(original.get_array()) == 0
    assert np.max(quieter.get_array()) == -20
    assert (original.origin, original.get_extent()) == ("lower", [0, 1.0, 0, 8.0])
    assert figure.axes[0].get_ylabel() == "loud\nkHz"


def test_only_the_start_is_drawn():
    figure = draw_spectrogram_grid([row("a", tone(440, 3.0), tone(440, 3.0))], max_seconds=0.5)
    assert [image.get_extent()[1] for image in images(figure)[:2]] == [0.5, 0.5]


def test_one_clip_takes_the_rows_it_needs():
    figure = draw_spectrogram_grid([row("a", *[tone(440)] * 7)])
    assert len(images(figure)) == 7
    heights = {round(axes.get_subplotspec().rowspan.start) for axes in figure.axes[:7]}
    assert heights == {0, 1}


def test_a_page_of_noise_is_still_small():
    rows = [row("clip", *(restless(8 * line + number) for number in range(8))) for line in range(3)]
    png = picture_bytes(draw_spectrogram_grid(rows), "png")
    assert 50_000 < len(png) < 150_000


class Moody:
    """A system that refuses music."""

    name = "moody"

    def reconstruct(self, wav, clip):
        if clip.domain == "music":
            raise DataError("it does not like music")
        return Reconstruction(wav=wav * np.float32(0.1), num_bits=len(wav) // 10)


@pytest.fixture
def suite(tmp_path):
    for name in ("music/a", "speech/b"):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / f"{name}.wav", tone(440), SAMPLE_RATE)
    return open_suite(tmp_path)


def test_systems_are_run_and_failures_shown(suite):
    systems = [Moody(), open_system("ground-truth")]
    rows = list(reconstructed_rows(suite.clips, systems))
    assert [row.clip for row in rows] == ["music/a", "speech/b"]
    titles = [[panel.title for panel in row.panels] for row in rows]
    assert titles == [
        ["Original", "moody", "ground-truth"],
        ["Original", "moody\n1.60 kbps", "ground-truth"],
    ]
    assert rows[0].panels[1].wav is None
    assert np.array_equal(rows[1].panels[2].wav, rows[1].panels[0].wav)
    figure = draw_spectrogram_grid(rows)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["failed: it does not like music"]
    assert len(images(figure)) == 5


def test_an_empty_clip_is_an_error(suite):
    soundfile.write(suite.clips[1].path, np.zeros(0), SAMPLE_RATE)
    with pytest.raises(AudioError, match="^speech/b holds no samples; leave it out$"):
        list(reconstructed_rows(suite.clips, []))


def test_a_clip_that_cannot_be_read_is_an_error(suite):
    suite.clips[0].path.write_text("not audio")
    with pytest.raises(AudioError, match="not readable audio"):
        list(reconstructed_rows(suite.clips, []))
