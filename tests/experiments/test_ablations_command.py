"""`python -m experiments.ablations` by the real command: training, sweeps, resume, failures."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from evaluation_fakes import run_here, write_clip
from experiments.ablations.__main__ import OPTIONS, REQUIRED
from experiments.ablations.__main__ import main as run_ablation
from experiments.ablations.recipes import VARIANTS
from experiments.ablations.report import TITLES
from experiments.ablations.run import PAPER
from experiments.results.reader import ABLATIONS, read_result
from semanticodec import SemantiCodec
from semanticodec.checkpoints.pretrained import read_setting
from semanticodec.cli import main
from semanticodec.evaluation import reconstruction
from semanticodec.training.train import Recipe
from tiny_modules import export_audiomae, export_codebook, export_vae, export_vocoder, write_audio

MAKERS = {
    "audiomae": export_audiomae,
    "vae": export_vae,
    "vocoder": export_vocoder,
    "codebook": export_codebook,
}
LABELS = {
    "variable-vocabulary": ["fixed vocabulary", "variable vocabulary"],
    "acoustic-codebook": [f"acoustic codebook {size}" for size in (16, 8, 4)],
    "lstm-direction": ["bidirectional LSTM", "unidirectional LSTM"],
    "learnable-semantic": ["k-means centroids", "learned codebook"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Modules, audio, a suite of one clip, and a task of two classes."""
    place = tmp_path_factory.mktemp("place")
    for name, make in MAKERS.items():
        make(place / "modules" / name)
    write_audio(place / "data", seconds=(3.0,))
    write_clip(place / "suite" / "1.wav")
    lines = ["path,label,split"]
    for number in range(12):
        is_loud = number % 2
        write_clip(place / "task" / f"{number}.wav", seed=number, volume=0.3 if is_loud else 0.01)
        split = "train" if number < 6 else "valid" if number < 8 else "test"
        lines.append(f"{number}.wav,{'loud' if is_loud else 'soft'},{split}")
    (place / "task" / "labels.csv").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Measure in this process, and note what is measured."""
    noted = []

    def run_noted(make_work, tasks, **settings):
        noted.extend((task.system, task.clip.name) for task in tasks)
        return run_here(make_work, tasks, **settings)

    monkeypatch.setattr(reconstruction, "run_tasks", run_noted)
    return noted


def modules(place, *names):
    folders = ((name, place / "modules" / name) for name in names or MAKERS)
    return [f"--module={name}={folder}" for name, folder in folders]


def command(name, out, *words):
    """Run the command; return its status and the results."""
    status = run_ablation([name, "-o", str(out), "-q", *map(str, words)])
    path = out / "results.json"
    return status, read_result(path).content if path.is_file() else None


def run(capfd, *arguments):
    """Run the command; return its status, the results and stderr."""
    capfd.readouterr()
    return *command(*arguments), capfd.readouterr().err


def training(place, *words):
    common = ("--recipe", "tiny", "--steps", 1, "--data", place / "data", *modules(place))
    return [*common, "--suite", place / "suite", "--metrics", "mel", *words]


def labels(results):
    return [row["label"] for row in results["rows"]]


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    """Return a function that gives the folder and results of an ablation, run once."""
    found = {}

    def get(name):
        if name not in found:
            out = tmp_path_factory.mktemp("trained")
            status, results = command(name, out, *training(place, "--token-rate", 100))
            assert status == 0
            found[name] = out, results
        return found[name]

    return get


@pytest.fixture(scope="module")
def model(place, tmp_path_factory):
    """A model of two vocabularies."""
    out = tmp_path_factory.mktemp("model")
    words = ["train", "codec", "--recipe", "tiny", "--steps", "1", "--quiet", "-o", str(out)]
    assert main([*words, "--data", str(place / "data"), *modules(place)]) == 0
    return out / "export"


# --- trained variants ---


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_trained_and_measured(name, trained):
    out, results = trained(name)
    assert (results["name"], results["paper"]) == (name, PAPER[name])
    assert (labels(results), results["failures"]) == (LABELS[name], [])
    assert len({json.dumps(row["settings"]) for row in results["rows"]}) == len(LABELS[name])
    for row in results["rows"]:
        assert set(row["scores"]["all"]["mel"]) == {"mean", "low", "high", "num_clips"}
        assert row["training"]["steps"] == 1
        assert SemantiCodec.from_pretrained(export(out, row["label"])).token_rate == 100
    # All variants of a rate are trained on one cache.
    assert len(list(out.glob("cache_*"))) == 1


def export(out, label):
    return out / f"{label.replace(' ', '_')}_100" / "export"


def test_what_is_compared_differs_in_the_models(trained):
    out, _ = trained("lstm-direction")
    for label, is_bidirectional in (("bidirectional LSTM", True), ("unidirectional LSTM", False)):
        codec = SemantiCodec.from_pretrained(export(out, label))
        assert codec.config.encoder.acoustic.bidirectional == is_bidirectional
    out, _ = trained("learnable-semantic")
    codebooks = [
        SemantiCodec.from_pretrained(export(out, label)).encoder.semantic.codebook(16)
        for label in LABELS["learnable-semantic"]
    ]
    assert codebooks[0].shape == codebooks[1].shape and not codebooks[0].equal(codebooks[1])
    out, results = trained("variable-vocabulary")
    sizes = [
        read_setting(export(out, label))[0].encoder.semantic.vocab_sizes
        for label in labels(results)
    ]
    assert sizes == [(16,), (8, 16)]


@pytest.fixture
def copied(trained, tmp_path):
    """A finished run of two variants, and its results."""
    out, results = trained("lstm-direction")
    shutil.copytree(out, tmp_path / "run", symlinks=True)
    return tmp_path / "run", results


def test_the_same_command_does_nothing_twice(place, copied, monkeypatch, measured):
    out, results = copied
    measured.clear()
    with monkeypatch.context() as patches:
        patches.setattr(Recipe, "run", lambda recipe, options: pytest.fail("trained again"))
        status, again = command("lstm-direction", out, *training(place))
    assert (status, again["rows"], measured) == (0, results["rows"], [])
    # More steps make other models: training goes on, and what it gives is measured anew.
    status, longer = command("lstm-direction", out, *training(place), "--steps", 2)
    assert status == 0 and len(measured) == 2
    assert [row["training"]["steps"] for row in longer["rows"]] == [2, 2]


def test_a_variant_that_fails_is_named_and_the_others_go_on(place, copied, capfd):
    out, _ = copied
    shutil.rmtree(out / "bidirectional_LSTM_100")
    (out / "bidirectional_LSTM_100").write_text("no folder")
    status, results, errors = run(capfd, "lstm-direction", out, *training(place))
    assert (status, labels(results)) == (1, ["unidirectional LSTM"])
    [failure] = results["failures"]
    assert failure["label"] == "bidirectional LSTM"
    assert "semanticodec: failed: bidirectional LSTM: " in errors
    # Results are published: nothing in them says where things lay.
    for name in ("results.json", "results.csv", "report.md"):
        assert str(out.parent) not in (out / name).read_text()
    assert "- bidirectional LSTM: " in (out / "report.md").read_text()


def test_a_stopped_training_stops_the_command(place, tmp_path, monkeypatch, measured):
    # What a signal does: the run ends early, with a checkpoint and an export.
    whole_run = Recipe.run
    monkeypatch.setattr(
        Recipe,
        "run",
        lambda recipe, options: whole_run(recipe, dataclasses.replace(options, minutes=0.0)),
    )
    words = training(place, "--token-rate", 100, "--steps", 2)
    assert command("lstm-direction", tmp_path, *words) == (130, None)
    assert not (tmp_path / "unidirectional_LSTM_100").exists() and measured == []


def test_codebooks_of_other_rates_are_clustered(place, tmp_path, capfd):
    words = training(place, "--token-rate", 50)
    status, results, _ = run(capfd, "variable-vocabulary", tmp_path, *words)
    assert status == 0
    assert [row["settings"] for row in results["rows"]] == [
        {"rate": 50, "stack_factor": 2, "vocabulary": "fixed"},
        {"rate": 50, "stack_factor": 2, "vocabulary": "variable"},
    ]
    assert (tmp_path / "codebook_50" / "export" / "config.json").is_file()


def test_centroids_are_probed_without_training_a_codec(place, tmp_path, capfd):
    words = ["--recipe", "tiny", "--data", place / "data", "--tasks", place / "task"]
    words += ["--token-rate", 100, *modules(place, "audiomae", "vae", "vocoder")]
    status, results, _ = run(capfd, "centroids", tmp_path, *words)
    assert status == 0
    assert [row["settings"]["centroids"] for row in results["rows"]] == [8, 16]
    for row in results["rows"]:
        assert row["scores"] == {} and 0 <= row["semantics"]["task"]["mean"] <= 100
        assert row["semantics"]["average"] == row["semantics"]["task"]["mean"]
    inertia = [row["training"]["inertia"]["speech"] for row in results["rows"]]
    assert inertia == sorted(inertia, reverse=True)
    report = (tmp_path / "report.md").read_text()
    assert "Table V: number of centroids" in report and "| 32768 | 53.1 |" in report


# --- sweeps ---


def test_a_grid_grows_without_measuring_twice(place, model, tmp_path, capfd, measured):
    words = ["--model", model, "--suite", place / "suite", "--metrics", "mel"]
    steps = ("--num-steps", "1,2")
    status, results, errors = run(
        capfd, "guidance-steps", tmp_path, *words, *steps, "--guidance-scale", 1
    )
    assert (status, errors) == (0, "")
    assert [row["settings"] for row in results["rows"]] == [
        {"guidance": 1.0, "steps": 1},
        {"guidance": 1.0, "steps": 2},
    ]
    assert [row["details"]["num_steps"] for row in results["rows"]] == [1, 2]
    assert len(measured) == 2
    more = ("--guidance-scale", "1,2.5")
    status, results, _ = run(capfd, "guidance-steps", tmp_path, *words, *steps, *more)
    assert status == 0 and len(results["rows"]) == 4 and len(measured) == 4
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert len({row["label"] for row in rows}) == 4
    assert {(row["guidance"], row["steps"]) for row in rows} >= {("2.5", "1"), ("2.5", "2")}
    assert "near 3.0" in (tmp_path / "report.md").read_text()
    assert str(tmp_path) not in (tmp_path / "results.json").read_text()


def test_a_setting_that_the_model_lacks_is_named_and_the_others_go_on(
    place, model, tmp_path, capfd
):
    words = [
        "--model",
        model,
        "--suite",
        place / "suite",
        "--metrics",
        "mel",
        "--guidance-scale",
        1,
    ]
    words += ["--num-steps", "1,2000"]
    status, results, errors = run(capfd, "guidance-steps", tmp_path, *words)
    assert status == 1
    assert labels(results) == ["guidance 1 in 1 steps"]
    assert [failure["label"] for failure in results["failures"]] == ["guidance 1 in 2000 steps"]
    assert "guidance 1 in 2000 steps: " in errors


def test_every_vocabulary_has_its_bitrate(place, model, tmp_path, capfd):
    words = ["--model", model, "--suite", place / "suite", "--metrics", "mel"]
    status, results, _ = run(capfd, "vocabulary", tmp_path, *words)
    assert status == 0
    assert [row["settings"] for row in results["rows"]] == [
        {"rate": 100, "vocab": 8},
        {"rate": 100, "vocab": 16},
    ]
    small, large = (row["scores"]["all"]["bits_per_second"]["mean"] for row in results["rows"])
    assert large / small == pytest.approx((4 + 4) / (3 + 4))
    assert read_result(tmp_path / "results.json").kind == ABLATIONS


# --- what cannot be run as given ---


def test_a_folder_holds_one_ablation_of_one_origin(place, model, tmp_path, capfd):
    words = ["--model", model, "--suite", place / "suite", "--metrics", "mel"]
    assert run(capfd, "vocabulary", tmp_path, *words)[0] == 0
    status, _, errors = run(capfd, "guidance-steps", tmp_path, *words)
    assert (
        status == 2
        and 'other settings (ablation was "vocabulary", now "guidance-steps"; ' in errors
    )
    status, _, errors = run(capfd, "vocabulary", tmp_path, *words[2:])
    assert (
        status == 2 and "other settings (model was" in errors and "give the same options" in errors
    )


def test_what_measuring_lacks_is_said_before_the_training(place, tmp_path, capfd):
    words = training(place, "--tasks", place / "data")
    status, _, errors = run(capfd, "lstm-direction", tmp_path, *words)
    assert status == 2 and "holds no task" in errors
    words = training(place, "--metrics", "mel,loudness")
    status, _, errors = run(capfd, "lstm-direction", tmp_path, *words)
    assert status == 2 and "loudness" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["ablation.json"]
    (tmp_path / "ablation.json").write_text("[")
    status, _, errors = run(capfd, "lstm-direction", tmp_path, *words)
    assert status == 2 and "ablation.json is damaged" in errors


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("vocabulary", ["--data", "x"], "has no use for --data; it takes --model, --token-rate,"),
        ("vocabulary", [], "the ablation vocabulary needs --suite or --tasks"),
        ("centroids", ["--suite", "x"], "has no use for --suite; it takes --data, --module,"),
        ("lstm-direction", ["--suite", "x"], "the ablation lstm-direction needs --data"),
        (
            "lstm-direction",
            ["--data", "x", "--module", "vae=x", "--module", "a=b", "--tasks", "x"],
            "missing: audiomae, vocoder, unknown: a; add --module NAME=RUN/export for each",
        ),
        (
            "lstm-direction",
            ["--data", "x", *modules(Path("x")), "--tasks", "x"],
            "holds no model.safetensors; give the export folder of a finished run",
        ),
    ],
)
def test_mistakes_are_explained(name, words, message, tmp_path, capfd):
    status, results, errors = run(capfd, name, tmp_path, *words)
    assert (status, results) == (2, None)
    assert message in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["--guidance-scale", "1,x"], ["--guidance", "-1"], ["--steps", "0"]]
)
def test_lists_that_are_none_are_refused(words, tmp_path, capfd):
    with pytest.raises(SystemExit) as stopped:
        run(capfd, "guidance-steps", tmp_path, *words)
    assert stopped.value.code == 2
    assert "is no" in capfd.readouterr().err


def test_all_ablations_have_options_a_title_and_a_place_in_the_paper():
    assert set(OPTIONS) == set(REQUIRED) == set(PAPER) == set(TITLES)
