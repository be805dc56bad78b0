"""`semanticodec evaluate semantics`: whole runs on classes that can be heard, and what can fail."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.results.reader import read_result
from probe_tasks import tone, write_colors, write_pitches
from semanticodec.cli import main
from semanticodec.evaluation.semantics import run as semantics_run
from semanticodec.evaluation.semantics.embeddings import group_features, open_embedder
from semanticodec.evaluation.semantics.probe import ProbeSettings
from semanticodec.evaluation.semantics.run import SemanticsSettings, evaluate_semantics
from semanticodec.evaluation.tables import number

STREAMS = ("semantic", "acoustic")
QUICK = SemanticsSettings(
    probe=ProbeSettings(hidden_sizes=(64,), learning_rates=(3e-3,), num_seeds=2)
)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tones in folds, and noise as a HEAR task at 48 kHz."""
    folder = tmp_path_factory.mktemp("tasks")
    write_pitches(folder / "pitches")
    write_colors(folder / "colors-v1-full")
    return folder


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command in this process; return its status, stdout and stderr."""
    capfd.readouterr()
    status = main(["evaluate", "semantics", *map(str, words)])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def score(results: dict[str, Any], features: str, task: str) -> dict[str, Any]:
    (found,) = [
        score
        for score in results["scores"]
        if (score["features"], score["task"]) == (features, task)
    ]
    return found


def test_what_can_be_heard_is_told_apart(tasks: Path, tmp_path: Path) -> None:
    results = evaluate_semantics(
        [tasks], ["log-mel", "log-mel-stats"], out=tmp_path, settings=QUICK
    )
    assert results["failures"] == []
    assert [task["name"] for task in results["tasks"]] == ["colors-v1-full", "pitches"]
    for task, num_runs in (("colors-v1-full", 2), ("pitches", 6)):
        for features in ("log-mel", "log-mel-stats"):
            found = score(results, features, task)
            assert found["mean"] > 95, found
            assert len(found["runs"]) == num_runs
            assert found["mean"] == pytest.approx(sum(found["runs"]) / num_runs)


def test_the_command_writes_and_prints_what_it_measured(
    tasks: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    features = [f"model:path={tiny_folder},name=tiny,layers={name}" for name in ("all", "semantic")]
    words = ["--tasks", tasks / "pitches", "--features", *features, "log-mel", "--seeds", 1]
    words += ["--limit", 2, "-o", tmp_path, "--threads", 1]
    status, printed, errors = run(capfd, *words)
    assert (status, errors) == (0, "")
    assert "| tiny:all | 0.65 | 100 |" in printed and "| tiny:semantic | 0.35 | 50 |" in printed
    assert "| most frequent class | – | – | 25.0 | 25.0 |" in printed

    result = read_result(tmp_path / "results.json")
    assert result.kind == "semantics"
    (task,) = result.content["tasks"]
    assert task["folds"] == {"0": 8, "1": 8, "2": 8} and task["test_folds"] == ["0", "1", "2"]
    assert task["rounds"][0] == {"name": "0", "train": 8, "valid": 8, "test": 8}
    row = score(result.content, "tiny:semantic", "pitches")
    assert row["bits_per_second"] == 350 and row["details"]["layers"] == "semantic"
    assert score(result.content, "log-mel", "pitches")["bits_per_second"] is None

    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["features"] for row in rows] == ["tiny:all", "tiny:semantic", "log-mel"]
    assert float(rows[2]["mean"]) == score(result.content, "log-mel", "pitches")["mean"]
    assert rows[2]["bits_per_second"] == "" and rows[2]["num_runs"] == "3"
    assert "- pitches: 24 clips, 4 classes, 3 folds, tested on 0, 1, 2; accuracy" in (
        tmp_path / "report.md"
    ).read_text(encoding="utf-8")

    status, printed, errors = run(capfd, *words, "--json", "--test-folds", "pitches=2")
    assert (status, errors) == (0, "")
    again = json.loads(printed)
    assert again["tasks"][0]["test_folds"] == ["2"]
    # Each round has its own seeds: fold 2 gives the same alone.
    assert score(again, "tiny:all", "pitches")["runs"] == [
        score(result.content, "tiny:all", "pitches")["runs"][2]
    ]


def test_clusters_of_codes_need_no_probe(
    tasks: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    features = [f"codes:path={tiny_folder},name=codes,layers={name}" for name in STREAMS]
    words = ["--tasks", tasks / "pitches", "--features", *features, "log-mel", "-o", tmp_path]
    words += ["--measures", "clusters", "--test-folds", "pitches=0,1", "--threads", 1]
    status, printed, errors = run(capfd, *words)
    assert (status, errors) == (0, "")
    result = read_result(tmp_path / "results.json").content
    assert result["scores"] == []
    by_name = {found["features"]: found for found in result["clusters"]}
    assert list(by_name) == ["codes:semantic", "codes:acoustic", "log-mel"]
    for found in by_name.values():
        assert (found["num_clips"], found["num_classes"]) == (48, 4)
        assert -1 <= found["silhouette"] <= 1 and 0.25 <= found["purity"] <= 1
    assert by_name["log-mel"]["purity"] > 0.5 > by_name["log-mel"]["chance"]
    shown = number(by_name["codes:semantic"]["silhouette"], 3)
    assert f"| codes:semantic | 0.35 | {shown} / " in printed
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| Clusters | kbps | pitches |" in report and "most frequent class" not in report


def test_a_histogram_has_the_share_of_every_code(tiny_folder: Path) -> None:
    specs = [f"codes:path={tiny_folder},layers={name}" for name in STREAMS]
    embedder = open_embedder(group_features(specs)[0])
    wav = torch.from_numpy(tone(440, seed=0))
    codes = embedder.codec.encode(wav)
    for found, stream in zip(embedder.embed(wav), codes.stacked()[0]):
        used, counts = stream.unique(return_counts=True)
        assert torch.equal(found.nonzero()[:, 0], used)
        assert torch.allclose(found[used], counts / len(stream))


def test_a_part_without_labels_is_a_failure_and_no_score(tmp_path: Path) -> None:
    folder = write_colors(tmp_path / "colors", per_class=1)
    metadata = json.loads((folder / "task_metadata.json").read_text())
    metadata["prediction_type"] = "multilabel"
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    (folder / "test.json").write_text(json.dumps({"0.wav": [], "1.wav": []}))
    results = evaluate_semantics([folder], ["log-mel"], out=tmp_path / "out", settings=QUICK)
    assert results["scores"] == []
    (failure,) = results["failures"]
    assert "a validation or test part has no labels" in failure["error"]


def test_a_second_run_computes_nothing(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate_semantics([tasks / "pitches"], ["log-mel"], out=tmp_path, settings=QUICK)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(semantics_run, "probe", refuse)
    second = evaluate_semantics([tasks / "pitches"], ["log-mel"], out=tmp_path, settings=QUICK)
    assert second["scores"] == first["scores"]
    for path in (tmp_path / "cache" / "scores" / "pitches").iterdir():
        path.write_text("{}")
    with pytest.raises(AssertionError, match="computed again"):
        evaluate_semantics([tasks / "pitches"], ["log-mel"], out=tmp_path, settings=QUICK)


def test_what_fails_is_named_and_the_rest_is_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tasks = tmp_path / "tasks"
    pitches = write_pitches(tasks / "pitches", per_class=3)
    (pitches / "0_00.wav").write_bytes(b"no sound")
    (pitches / "0_01.wav").unlink()
    events = write_colors(tasks / "events", per_class=1)
    metadata = json.loads((events / "task_metadata.json").read_text())
    (events / "task_metadata.json").write_text(json.dumps({**metadata, "embedding_type": "event"}))

    words = ["--tasks", tasks, "--features", "log-mel", "model:path=./nowhere", "--seeds", 1]
    status, printed, errors = run(capfd, *words, "-o", tmp_path / "out")
    assert status == 1
    assert "| log-mel |" in printed and "nowhere" not in printed
    warnings = errors.splitlines()
    assert len(warnings) == 4, errors
    assert "pitches: 0_01.wav is missing" in errors
    assert "log-mel, pitches, 0_00.wav" in errors and "not readable audio" in errors
    assert "model:path=nowhere:all: ./nowhere is no model folder" in errors
    assert (
        "events: task events has prediction_type 'multiclass' and embedding_type 'event'" in errors
    )
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["failures"]) == 3
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "## Problems" in report
    assert all(warning.partition("warning: ")[2] in report for warning in warnings)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--features", "mfcc"], "there are no features 'mfcc'"),
        (["--test-folds", "4,5"], "--test-folds '4,5' is not understood; write TASK=FOLD,FOLD"),
        (["--test-folds", "esc=4"], "test folds are given for 'esc', but the tasks are"),
        (["--test-folds", "pitches=7"], "task pitches has no fold '7'; its folds are 0, 1, 2"),
    ],
)
def test_wrong_words_end_the_run_at_once(
    tasks: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    status, _, errors = run(capfd, "--tasks", tasks, "-o", tmp_path / "out", *words)
    assert status == 2 and message in errors
    assert not (tmp_path / "out").exists()


def test_a_folder_without_tasks_is_explained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, _, errors = run(capfd, "--tasks", tmp_path, "-o", tmp_path / "out")
    assert status == 2 and "holds no task; give a folder with labels.csv" in errors
