"""All measures of a clip at once: each that applies, or the reason why there is none."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from semanticodec.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    DataError,
    MissingDependencyError,
)
from semanticodec.evaluation import metrics as package
from semanticodec.evaluation.metrics import METRICS, Metrics, Resources
from semanticodec.evaluation.metrics.recognizers import Recognizer
from semanticodec.evaluation.suites import Clip

_MODULES = ("visqol", "pystoi", "jiwer", "pocketsphinx", "pesq", "speechmos.dnsmos", "swift_f0")
for _module in _MODULES:
    pytest.importorskip(_module)


POCKETSPHINX = Resources(recognizer="pocketsphinx")


class Ear:
    """Takes every voice for the same."""

    def embed(self, wav):
        return np.array([0.6, 0.8])


class Parrot(Recognizer):
    """Says one text, or fails."""

    name = "parrot"

    def __init__(self, answer: str | Exception):
        self.answer = answer

    def transcribe(self, wav, language=None):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def clip(domain: str = "speech", transcript: str | None = "one two three") -> Clip:
    return Clip(
        name=f"{domain}/a", domain=domain, path=Path("a.wav"), transcript=transcript, language="en"
    )


def bursts(num_samples: int = 16_000, level: float = 0.1) -> np.ndarray:
    swell = 0.6 - 0.4 * np.cos(8 * np.pi * np.arange(num_samples) / 16_000)
    draws = np.random.default_rng(0).standard_normal(num_samples)
    return (level * draws * swell).astype(np.float32)


def syllables() -> np.ndarray:
    """A voice of 120 Hz that swells and fades, on a little noise."""
    time_s = np.arange(16_000) / 16_000
    waves = sum(np.sin(2 * np.pi * 120 * number * time_s) / number for number in range(1, 30))
    return (0.2 * waves).astype(np.float32) * np.float32(0.5) + bursts(level=0.05)


def with_parrot(answer: str | Exception, *names: str) -> Metrics:
    metrics = Metrics([*names, "wer"], POCKETSPHINX)
    metrics.opened["wer"] = Parrot(answer)
    return metrics


def test_every_metric_gives_its_keys_for_speech():
    resources = dataclasses.replace(POCKETSPHINX, speaker_model="owner/name")
    metrics = Metrics(list(METRICS), resources)
    metrics.opened |= {"wer": Parrot("one too three"), "speaker_similarity": Ear()}
    scores = metrics.score(syllables(), syllables(), clip())
    assert list(scores.values) == [key for metric in METRICS.values() for key in metric.keys]
    assert scores.problems == ()
    assert scores.values["mel"] == scores.values["stft"] == 0.0
    assert scores.values["visqol_speech"] == pytest.approx(5.0)
    ones = ("stoi", "estoi", "speaker_similarity")
    assert [scores.values[name] for name in ones] == pytest.approx([1.0] * 3)
    assert (scores.values["word_errors"], scores.values["num_words"]) == (1.0, 3.0)
    assert all(type(value) is float for value in scores.values.values())


def test_measures_of_speech_stay_away_from_music():
    scores = with_parrot("", "mel", "stoi").score(bursts(), bursts(), clip("music", None))
    assert list(scores.values) == ["mel"]
    assert scores.problems == ()


def test_a_suite_without_folders_is_speech_where_its_words_are_known():
    scores = with_parrot("one", "stoi").score(bursts(), bursts(), clip("all"))
    assert set(scores.values) == {"stoi", "word_errors", "num_words"}


def test_one_metric_without_a_value_says_why_and_leaves_the_others():
    silence = np.zeros(16_000, dtype=np.float32)
    metrics = with_parrot("", "mel", "visqol_speech", "visqol_audio", "stoi")
    scores = metrics.score(silence, bursts(), clip())
    assert set(scores.values) == {"mel", "word_errors", "num_words"}
    assert [problem.split(":")[0] for problem in scores.problems] == [
        "visqol_speech",
        "visqol_audio",
        "stoi",
    ]
    assert all("reference clip is silent" in problem for problem in scores.problems)


def test_speech_without_a_transcript_is_compared_with_what_is_heard_in_the_original():
    class Half(Parrot):
        calls = 0

        def transcribe(self, wav, language=None):
            self.calls += 1
            return "one two three four" if wav[2000] == bursts()[2000] else "one two"

    metrics = with_parrot("", "mel")
    metrics.opened["wer"] = recognizer = Half("")
    for _ in range(2):
        scores = metrics.score(bursts(), bursts(level=0.2), clip(transcript=None))
        assert (scores.values["word_errors"], scores.values["num_words"]) == (2.0, 4.0)
        assert scores.problems == (
            "wer: the suite has no transcript; compared with what is heard in the original",
        )
    assert recognizer.calls == 3, "the original is heard once"
    nothing = with_parrot("...").score(bursts(), bursts(), clip(transcript=None))
    assert nothing.problems == ("wer: parrot hears no words in the original",)


def test_what_a_recognizer_refuses_is_a_problem_of_the_clip_and_broken_weights_are_not():
    refused = with_parrot(DataError("English only")).score(bursts(), bursts(), clip())
    assert (refused.values, refused.problems) == ({}, ("wer: English only",))
    with pytest.raises(CheckpointError):
        with_parrot(CheckpointError("no weights")).score(bursts(), bursts(), clip())


def test_a_result_that_is_not_a_number_is_a_problem(monkeypatch):
    broken = dataclasses.replace(METRICS["mel"], measure=lambda pair, opened: (float("nan"),))
    monkeypatch.setattr(package, "METRICS", {**METRICS, "mel": broken})
    scores = Metrics(["mel", "stft"]).score(bursts(), bursts(), clip())
    assert scores.problems == ("mel: the result is not a number",)
    assert set(scores.values) == {"stft"}


@pytest.mark.usefixtures("unchecked_shapes")
def test_clips_that_cannot_be_compared_at_all_raise():
    with pytest.raises(AudioError, match="decoded clip has 8000 samples and its reference 16000"):
        Metrics(["mel"]).score(bursts(), bursts(8000), clip())
    with pytest.raises(AudioError, match="NaN"):
        Metrics(["mel"]).score(bursts(), np.full(16_000, np.nan, dtype=np.float32), clip())
    with pytest.raises(AudioError, match=r"shape \(0,\)"):
        Metrics(["mel"]).score(bursts(0), bursts(0), clip())


def test_metrics_come_in_the_order_of_the_table_and_once():
    assert [m.name for m in Metrics(["stoi", "mel", "mel"]).metrics] == ["mel", "stoi"]


def test_a_family_is_all_of_it_that_can_be_computed():
    assert list(Metrics(["detail"]).opened) == [f"detail_{band}" for band in range(8)]
    speech = Metrics(["speech"])
    assert list(speech.opened) == ["stoi", "estoi", "pesq_wb"]
    assert speech.skipped.keys() == {"speaker_similarity", "wer"}
    with pytest.raises(ConfigError, match="'wer' needs a recognizer"):
        Metrics(["speech", "wer"])


def test_wrong_settings_are_refused_before_any_clip():
    with pytest.raises(
        ConfigError, match="no metric 'loudness'; choose of mel, stft, visqol_speech"
    ):
        Metrics(["mel", "loudness"])
    with pytest.raises(ConfigError, match="'wer' needs a recognizer; give pocketsphinx, whisper"):
        Metrics(["wer"])
    with pytest.raises(ConfigError, match="no recognizer 'ears'"):
        Metrics(["wer"], Resources(recognizer="ears"))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("visqol_speech", "visqol"),
        ("visqol_audio", "visqol"),
        ("stoi", "pystoi"),
        ("wer", "jiwer"),
        ("wer", "pocketsphinx"),
        ("pesq_wb", "pesq"),
        ("dnsmos_sig", "speechmos.dnsmos"),
        ("pitch_cents", "swift_f0"),
    ],
)
def test_a_missing_package_is_named_before_any_clip(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'semanticodec\[eval\]'"):
        Metrics([name], POCKETSPHINX)
    assert Metrics(["mel"], POCKETSPHINX).models == {}


def test_the_table_knows_rates_and_directions():
    assert METRICS["wer"].keys == ("word_errors", "num_words")
    assert METRICS["mel"].keys == ("mel",)
    better = {name for name, metric in METRICS.items() if metric.is_higher_better}
    worse = {"mel", "stft", "wer", "pitch_gross", "pitch_cents", "voicing_error"}
    assert better == METRICS.keys() - worse
    of_all_sound = {name for name, metric in METRICS.items() if not metric.is_speech_only}
    families = {METRICS[name].family for name in of_all_sound}
    assert families == {"sound", "detail"} and len(of_all_sound) == 12


def test_by_default_everything_is_measured_that_can_be(monkeypatch):
    resources = dataclasses.replace(POCKETSPHINX, speaker_model="owner/name")
    assert list(Metrics(None, resources).opened) == list(METRICS)
    monkeypatch.setitem(sys.modules, "pystoi", None)
    metrics = Metrics(None)
    missing = {"stoi", "estoi", "speaker_similarity", "wer"}
    assert metrics.skipped.keys() == missing
    assert metrics.opened.keys() == METRICS.keys() - missing
    assert "pip install 'semanticodec[eval]'" in metrics.skipped["stoi"]
    assert "needs a recognizer; give pocketsphinx" in metrics.skipped["wer"]
