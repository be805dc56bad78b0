"""ViSQOL gives its best score to equal clips, less to noisier ones, and none to silence."""

import numpy as np
import pytest

from semanticodec.errors import AudioError, MissingDependencyError
from semanticodec.evaluation.metrics import Resources, visqol
from semanticodec.evaluation.metrics.visqol import visqol_audio, visqol_speech

pytest.importorskip("visqol")
MODES = ((visqol_speech, 5.0), (visqol_audio, 4.732))


def voice(num_samples: int = 16_000, level: float = 0.1) -> np.ndarray:
    """A breathy voice: harmonics of 120 Hz and some noise, four syllables a second."""
    time_s = np.arange(num_samples) / 16_000
    sound = 0.1 * np.random.default_rng(1).standard_normal(num_samples)
    sound += sum(np.sin(2 * np.pi * 120 * k * time_s + k * k) / k for k in range(1, 40))
    return (level * sound * (0.55 - 0.45 * np.cos(8 * np.pi * time_s))).astype(np.float32)


def with_noise(wav: np.ndarray, level: float) -> np.ndarray:
    draws = np.random.default_rng(0).standard_normal(len(wav))
    return (wav + level * draws).astype(np.float32)


@pytest.mark.parametrize(("measure", "best"), MODES)
def test_best_score_for_equal_clips_and_less_with_more_noise(measure, best):
    wav = voice()
    assert measure(wav, wav) == pytest.approx(best, abs=1e-3)
    scores = [measure(wav, with_noise(wav, level)) for level in (0.001, 0.01, 0.1)]
    assert best > scores[0] > scores[1] > scores[2] >= 1.0


@pytest.mark.parametrize(("measure", "best"), MODES)
def test_the_level_of_the_decoded_clip_does_not_matter(measure, best):
    wav = voice()
    assert measure(wav, wav / 4) == pytest.approx(best, abs=1e-3)


def test_each_mode_is_opened_once():
    visqol_speech(voice(), voice())
    assert visqol._open("speech") is visqol._open("speech")
    assert visqol._open("speech") is not visqol._open("audio")


@pytest.mark.parametrize(("measure", "best"), MODES)
def test_silence_has_no_score(measure, best):
    wav, silence = voice(), np.zeros(16_000, dtype=np.float32)
    with pytest.raises(AudioError, match="reference clip is silent.*ViSQOL is not defined"):
        measure(silence, wav)
    # Left alone, the package finds noise as good as the original here.
    with pytest.raises(AudioError, match="reference clip is silent"):
        measure(wav * 1e-4, with_noise(silence, 0.1))
    with pytest.raises(AudioError, match=r"decoded clip is silent \(all zeros\)"):
        measure(wav, silence)


@pytest.mark.parametrize("num_samples", [1, 400, 1600, 8000])
@pytest.mark.parametrize(("measure", "best"), MODES)
def test_a_clip_that_is_too_short_is_named(measure, best, num_samples):
    wav = voice(16_000)[8000 : 8000 + num_samples] + np.float32(0.01)
    duration = f"{num_samples / 16_000:.2f} s"
    with pytest.raises(AudioError, match=f"cannot score a clip of {duration}.*at least 1 s"):
        measure(wav, wav)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("measure", "best"), MODES)
def test_what_cannot_be_compared_is_refused(measure, best):
    with pytest.raises(AudioError, match="decoded clip has 15999 samples and its reference 16000"):
        measure(voice(), voice()[:-1])
    with pytest.raises(AudioError, match="decoded clip holds NaN"):
        measure(voice(), np.full(16_000, np.inf, dtype=np.float32))


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "visqol", None)
    with pytest.raises(MissingDependencyError, match=r"visqol-python.*'semanticodec\[eval\]'"):
        visqol.VISQOL_SPEECH.opened(Resources())
