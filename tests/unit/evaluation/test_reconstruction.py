"""Runs over small suites, without processes: what can go wrong, and going on with a run."""

import json

import pytest
import soundfile

from evaluation_fakes import open_faulty, run_here, write_clip
from semanticodec.errors import ConfigError
from semanticodec.evaluation import reconstruction
from semanticodec.evaluation.reconstruction import Settings, evaluate, num_failures
from semanticodec.evaluation.suites import open_suite

QUICK = Settings(metrics=("mel",))
CLIPS = ("music/crash", "music/fine", "music/odd", "speech/fine", "speech/refused")


@pytest.fixture(autouse=True)
def _without_processes(monkeypatch):
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)


@pytest.fixture
def suite_folder(tmp_path):
    """Two clips of each of two domains."""
    folder = tmp_path / "suite"
    for seed, name in enumerate(("music/1", "music/2", "speech/1", "speech/2")):
        write_clip(folder / f"{name}.wav", seed=seed)
    return folder


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Lists which system was asked for which clip."""
    path = tmp_path / "calls"
    monkeypatch.setenv("FAULTY_LOG", str(path))

    def read():
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return calls

    return read


def measure(folder, out, *specs, settings=QUICK, limit=None):
    suite = open_suite(folder, limit=limit)
    return evaluate(suite, specs, out, settings, open_system=open_faulty)


# --- what can go wrong with a system ---


def test_whatever_a_system_does_the_others_are_measured(tmp_path, log):
    for seed, name in enumerate(CLIPS):
        write_clip(tmp_path / "suite" / f"{name}.wav", seed=seed)
    (tmp_path / "suite" / "music" / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "suite" / "music" / "void.wav", [], 16_000)
    results = measure(tmp_path / "suite", tmp_path / "out", "faulty", "ground-truth")
    faulty, truth = results["systems"]
    assert faulty["num_clips"] == 7
    errors = {entry["clip"]: entry["error"] for entry in faulty["failures"]}
    assert errors == {
        "music/crash": "ZeroDivisionError: a bug of the codec",
        "music/text": errors["music/text"],
        "music/void": "the clip void.wav holds no samples",
        "speech/refused": "this clip is not to its taste",
    }
    assert "the clip text.wav cannot be read" in errors["music/text"]
    assert faulty["warnings"] == [{"clip": "music/odd", "warning": "it sounds odd"}]
    # A bug's traceback is kept beside the results, not in them.
    rows = [json.loads(line) for line in (tmp_path / "out" / "clips.jsonl").open()]
    (crash,) = [row for row in rows if row["clip"] == "music/crash" and "error" in row]
    assert "raise ZeroDivisionError" in crash["traceback"]
    assert [entry["clip"] for entry in truth["failures"]] == ["music/text", "music/void"]
    assert num_failures(results) == 6
    (difference,) = [entry for entry in results["differences"] if entry["domain"] == "speech"]
    assert difference["num_clips"] == 1  # speech/fine is all that both have
    assert len(log()) == 5


def test_a_silent_clip_is_named(tmp_path):
    write_clip(tmp_path / "suite" / "silence.wav", seconds=1, volume=0)
    settings = Settings(metrics=("mel", "visqol_speech"))
    pytest.importorskip("visqol")
    results = measure(tmp_path / "suite", tmp_path / "out", "ground-truth", settings=settings)
    (system,) = results["systems"]
    assert set(system["scores"]["all"]) == {"mel"}
    (warning,) = system["warnings"]
    assert warning["clip"] == "silence" and "silent" in warning["warning"]
    assert "silence" in (tmp_path / "out" / "report.md").read_text()


def test_a_system_that_opens_only_once_fails_by_name(suite_folder, tmp_path):
    results = measure(suite_folder, tmp_path / "out", f"once:flag={tmp_path / 'flag'},name=large")
    errors = {entry["error"] for entry in results["systems"][0]["failures"]}
    assert errors == {"MemoryError: no room for a second one"}
    # It was tried once in the process, not again for every clip.
    assert (tmp_path / "flag").stat().st_size == 2


def test_a_system_that_cannot_be_opened_stops_everything_first(suite_folder, tmp_path, log):
    with pytest.raises(ConfigError, match="cannot be opened"):
        measure(suite_folder, tmp_path / "out", "faulty", "unopenable")
    assert log() == [] and not (tmp_path / "out").exists()


# --- going on ---


def test_what_is_done_is_not_done_again(suite_folder, tmp_path, log):
    out = tmp_path / "out"
    measure(suite_folder, out, "faulty", limit=1)
    assert log() == ["faulty music/1", "faulty speech/1"]
    first = measure(suite_folder, out, "faulty")
    assert log() == ["faulty music/2", "faulty speech/2"]
    again = measure(suite_folder, out, "faulty", "faulty:name=second")
    assert {call.split()[0] for call in log()} == {"second"}
    assert again["systems"][0]["scores"] == first["systems"][0]["scores"]
    smaller = measure(suite_folder, out, "faulty", limit=1)
    assert log() == []
    assert smaller["suite"]["domains"] == {"music": 1, "speech": 1}
    measure(suite_folder, out, "faulty", settings=Settings(metrics=("mel",), overwrite=True))
    assert len(log()) == 4


def test_failures_are_tried_again(tmp_path, log):
    folder = tmp_path / "suite"
    write_clip(folder / "fine.wav")
    write_clip(folder / "refused.wav")
    measure(folder, tmp_path / "out", "faulty")
    log()
    measure(folder, tmp_path / "out", "faulty")
    assert log() == ["faulty refused"]


def test_audio_that_was_not_kept_is_made(suite_folder, tmp_path, log):
    measure(suite_folder, tmp_path / "out", "faulty", limit=1)
    log()
    keep = Settings(metrics=("mel",), save_audio=tmp_path / "audio")
    measure(suite_folder, tmp_path / "out", "faulty", limit=1, settings=keep)
    assert len(log()) == 2
    assert (tmp_path / "audio/faulty/music/1.flac").is_file()
    measure(suite_folder, tmp_path / "out", "faulty", limit=1, settings=keep)
    assert log() == []


def test_other_clips_systems_or_metrics_need_another_folder(suite_folder, tmp_path):
    out = tmp_path / "out"
    measure(suite_folder, out, "faulty:version=1,name=x")
    with pytest.raises(ConfigError, match="system.x was .*another --output, or --overwrite"):
        measure(suite_folder, out, "faulty:version=2,name=x")
    with pytest.raises(ConfigError, match="setting.metrics was"):
        measure(suite_folder, out, "faulty:name=x", settings=Settings(metrics=("mel", "stft")))
    write_clip(suite_folder / "music/1.wav", seed=9)
    with pytest.raises(ConfigError, match="clip.music/1 was"):
        measure(suite_folder, out, "faulty:version=1,name=x")
