"""`semanticodec evaluate reconstruction`: whole runs over small suites, with all that can fail."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from evaluation_fakes import open_faulty, run_here, write_clip
from experiments.paper.numbers import paper_table
from semanticodec.cli import main
from semanticodec.evaluation import reconstruction
from semanticodec.evaluation.reconstruction import Settings, evaluate, num_failures
from semanticodec.evaluation.suites import Suite, open_suite

DATA = os.environ.get("SEMANTICODEC_DATA")
NEEDS_DATA = pytest.mark.skipif(DATA is None, reason="SEMANTICODEC_DATA names no published clips")
MEL = ("--metrics", "mel", "--jobs", "1")


@pytest.fixture
def suite_folder(tmp_path):
    """Two clips of each of two domains."""
    folder = tmp_path / "suite"
    for seed, name in enumerate(("music/1", "music/2", "speech/1", "speech/2")):
        write_clip(folder / f"{name}.wav", seed=seed)
    return folder


def run(capfd, *words):
    """Run the command in this process; return its status, stdout and stderr."""
    capfd.readouterr()
    status = main(["evaluate", "reconstruction", *map(str, words)])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


# --- the command ---


def test_the_command_writes_and_prints_what_it_measured(suite_folder, tmp_path, capfd):
    out, audio = tmp_path / "out", tmp_path / "audio"
    specs = ["ground-truth", f"folder:path={suite_folder},kbps=256,name=copy"]
    words = ["--suite", suite_folder, "--system", *specs, "-o", out, *MEL]
    status, printed, errors = run(capfd, *words, "--save-audio", audio)
    assert (status, errors) == (0, "")
    assert "speech (2 clips)" in printed and "Average" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        *("clips.csv", "clips.jsonl", "report.md", "results.json", "settings.json")
    ]
    results = json.loads((out / "results.json").read_text())
    assert (results["format"], results["kind"]) == (2, "reconstruction")
    assert results["suite"] == {
        "name": "suite",
        "domains": {"music": 2, "speech": 2},
        "problems": [],
    }
    assert [system["name"] for system in results["systems"]] == ["ground-truth", "copy"]
    truth, copy = (system["scores"] for system in results["systems"])
    assert truth["average"]["mel"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "num_clips": 4}
    assert "bits_per_second" not in truth["speech"]
    assert copy["speech"]["bits_per_second"]["mean"] == 256_000
    assert len(results["clips"]) == 8
    assert {entry["baseline"] for entry in results["differences"]} == {"ground-truth"}
    assert len(list(csv.DictReader((out / "clips.csv").open()))) == 8
    # What is kept can be evaluated as a folder again.
    assert len(list((audio / "ground-truth" / "music").glob("*.flac"))) == 2
    # Results are published: nothing in them says where things lay.
    published = ("results.json", "report.md", "clips.csv")
    assert all(str(tmp_path) not in (out / name).read_text() for name in published)
    # All is done: the same command only reports, and each way of reporting keeps to itself.
    status, printed, errors = run(capfd, *words, "--json")
    assert (status, errors) == (0, "") and json.loads(printed)["clips"] == results["clips"]
    assert run(capfd, *words, "--quiet") == (0, "", "")


def test_errors_of_the_user_come_before_any_work(suite_folder, tmp_path, capfd):
    def error(*words, suite=suite_folder):
        out = tmp_path / "out"
        status, printed, errors = run(capfd, "--suite", suite, "-o", out, *words)
        assert (status, printed) == (2, "") and errors.count("\n") == 1
        assert not out.exists()
        return errors

    truth = ("--system", "ground-truth")
    assert "the system 'nothing' does not exist" in error("--system", "nothing", *MEL)
    assert "there is no metric 'loudness'" in error(*truth, "--metrics", "loudness")
    assert "'wer' needs a recognizer" in error(*truth, "--metrics", "wer")
    assert "is none of the systems" in error(*truth, *MEL, "--baseline", "other")
    assert "both called ground-truth; add name=LABEL" in error(*truth, *truth, *MEL)
    assert "'lamp' is not a device" in error(*truth, *MEL, "--device", "lamp")
    assert "is no folder" in error(*truth, *MEL, suite=tmp_path / "nowhere")
    # One name on disks that do not tell capitals apart.
    twice = ("--system", "ground-truth:name=A b", "ground-truth:name=a/B")
    assert "add name=LABEL to one" in error(*twice, *MEL)


def test_clips_that_fail_are_named_and_the_exit_status_says_so(
    suite_folder, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)
    partial = tmp_path / "partial"
    write_clip(partial / "music/1.wav", seed=0)
    write_clip(partial / "speech/1.wav", seconds=0.3)
    words = ["--suite", suite_folder, "--system", f"folder:path={partial}", "-o", tmp_path / "out"]
    status, printed, errors = run(capfd, *words, *MEL)
    assert status == 1
    assert "partial failed on 3 of 4 clips" in printed
    assert "3 reconstructions failed" in errors
    report = (tmp_path / "out" / "report.md").read_text()
    assert "- music/2: music/2 has no recording in the folder partial" in report
    assert "- speech/1: speech/1 has 4800 samples in the folder partial" in report
    # The same command, once they are there, measures what is missing.
    write_clip(partial / "music/2.wav", seed=1)
    write_clip(partial / "speech/1.wav", seed=2)
    write_clip(partial / "speech/2.wav", seed=3)
    assert run(capfd, *words, *MEL, "--overwrite")[0] == 0


def test_the_real_process_can_be_stopped_and_goes_on(tmp_path):
    folder, out = tmp_path / "suite", tmp_path / "out"
    for seed in range(60):
        write_clip(folder / "music" / f"{seed:02}.wav", seconds=2, seed=seed)
    command = [
        *(sys.executable, "-m", "semanticodec", "evaluate", "reconstruction", "--suite", folder),
        *("--system", "ground-truth", "-o", out, *MEL),
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # A test run in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    rows = out / "clips.jsonl"
    deadline = time.monotonic() + 90
    while not (rows.exists() and rows.read_text().count("\n") >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None and process.stderr.read() == b"semanticodec: stopped\n"
    done = rows.read_text().count("\n")
    assert 2 <= done < 60
    assert main([str(word) for word in command[3:]] + ["--quiet"]) == 0
    assert rows.read_text().count("\n") == 60


# --- processes ---


def test_a_process_that_dies_costs_its_clip_and_the_rest_is_as_without_processes(
    tmp_path, monkeypatch
):
    for seed, name in enumerate(("music/fine", "music/killed", "speech/fine", "speech/odd")):
        write_clip(tmp_path / "suite" / f"{name}.wav", seed=seed)
    suite = open_suite(tmp_path / "suite")
    settings = Settings(metrics=("mel",), jobs=2)
    results = evaluate(suite, ["faulty"], tmp_path / "two", settings, open_system=open_faulty)
    (system,) = results["systems"]
    assert system["failures"] == [
        {
            "clip": "music/killed",
            "error": "the process that worked on it was killed by SIGKILL; was the memory full?",
        }
    ]
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)
    survivors = Suite(
        name="suite", clips=tuple(clip for clip in suite.clips if "killed" not in clip.name)
    )
    here = evaluate(survivors, ["faulty"], tmp_path / "here", settings, open_system=open_faulty)
    assert results["clips"] == here["clips"]
    assert system["scores"] == here["systems"][0]["scores"]
    assert system["warnings"] == here["systems"][0]["warnings"] != []


# --- agreement with the world ---


def measure_published(out, metrics):
    """Return what the six published systems of Table II get, and their rows of the paper."""
    root = Path(str(DATA)) / "published"
    systems = {
        row["published"]: row for row in paper_table("table_2") if isinstance(row["published"], str)
    }
    specs = [f"folder:path={root / name}" for name in systems]
    results = evaluate(open_suite(root / "reference"), specs, out, Settings(metrics=metrics))
    assert num_failures(results) == 0
    return results, list(systems.values())


def check_ranks(results, rows, metric, column):
    """Check that systems come in the paper's order, for the kinds of sound where that can be said.

    The four clips of general sound are too few, or the paper's measure is another there: the
    independent values of these outputs, too, put EnCodec before all of SemantiCodec's rates by MEL
    (rank correlation 0.66) and are at 0.83 by ViSQOL.
    """
    for domain in ("music", "speech"):
        ours = [system["scores"][domain][metric]["mean"] for system in results["systems"]]
        papers = [row[f"{domain}_{column}"] for row in rows]
        assert spearmanr(ours, papers).statistic >= 0.9, domain


def check_values(results, metric, tolerance):
    with (Path(str(DATA)) / "published" / "expected.csv").open() as file:
        expected = {
            (f"folder:path={row['system']}", f"{row['domain']}/{Path(row['clip']).stem}"): row[
                metric
            ]
            for row in csv.DictReader(file)
        }
    found = {(row["system"], row["clip"]): row[metric] for row in results["clips"]}
    assert found.keys() == expected.keys() and len(found) == 72
    for pair, value in found.items():
        assert value == pytest.approx(float(expected[pair]), abs=tolerance), pair


@NEEDS_DATA
def test_published_outputs_rank_as_in_table_2_by_mel(tmp_path, monkeypatch):
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)
    results, rows = measure_published(tmp_path / "out", ("mel",))
    check_values(results, "mel", 2e-5)
    check_ranks(results, rows, "mel", "mel")


@NEEDS_DATA
@pytest.mark.slow
def test_published_outputs_rank_as_in_table_2_by_visqol(tmp_path):
    results, rows = measure_published(tmp_path / "out", ("visqol_speech",))
    check_values(results, "visqol_speech", 1e-4)
    check_ranks(results, rows, "visqol_speech", "visqol")
    overall = [
        system["scores"]["average"]["visqol_speech"]["mean"] for system in results["systems"]
    ]
    assert spearmanr(overall, [row["visqol"] for row in rows]).statistic >= 0.9
