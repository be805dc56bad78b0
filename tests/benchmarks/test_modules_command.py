"""`python -m benchmarks.modules` as people type it: tables, files and error texts."""

import builtins
import json

import pytest

from benchmarks.modules import peaks, random_models
from benchmarks.modules.__main__ import main
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.config import tiny


@pytest.fixture(autouse=True)
def small_peaks(monkeypatch):
    monkeypatch.setattr(peaks, "PRODUCT_SIZE", 64)
    monkeypatch.setattr(peaks, "FEWEST_RUNS", 1)


def run(capfd, *words):
    status = main(["--runs", "1", "--seconds", "1", *map(str, words)])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def test_a_model_is_measured_into_a_folder(tiny_folder, tmp_path, capfd):
    out = tmp_path / "out"
    status, text, err = run(capfd, "--model", tiny_folder, "-o", out)
    assert (status, err) == (0, "")
    assert text.startswith(f"{tiny_folder} (100 tokens per second) on ")
    assert "sampler ddim with 4 steps, guidance 2" in text
    names = sorted(path.name for path in out.iterdir())
    assert names == ["benchmark.json", "benchmark.md", "benchmark.png", "benchmark.svg"]
    report = json.loads((out / "benchmark.json").read_text())
    assert report["official"] is None, "a model is not compared with the official code"
    status, _, err = run(capfd, "--model", tiny_folder, "-o", out)
    assert status == 2
    assert "benchmark.json exists already; choose another folder or say --overwrite" in err


def test_the_built_in_model_is_measured_module_by_module(capfd):
    """It has what no tiny model has: an acoustic encoder that sees the mel, a harmonic source."""
    status, text, err = run(capfd, "--modules", "lstm", "vocoder", "--json")
    assert (status, err) == (0, "")
    assert all(row["seconds"] for row in json.loads(text)["modules"])


def test_official_sizes_get_random_weights(monkeypatch, capfd):
    config = choose_vocabulary(tiny(), None)
    monkeypatch.setattr(random_models, "official_config", lambda rate, vocabulary: config)
    words = (
        "--official",
        "--modules",
        "sampler",
        "decode",
        "--num-steps",
        "2",
        "--guidance-scale",
        "1",
    )
    words += ("--seconds", "25", "--batch-size", "1", "--dtype", "bfloat16", "--json")
    status, text, err = run(capfd, *words)
    assert (status, err) == (0, "")
    report = json.loads(text)
    assert [row["name"] for row in report["modules"]] == ["sampler", "decode"]
    assert [row["dtype"] for row in report["modules"]] == ["bfloat16"] * 2
    assert set(report["peaks"]) == {"float32", "bfloat16"}
    assert report["modules"][0]["windows"]["unet"] == 2
    decode = report["modules"][1]
    assert (decode["calls"]["unet"], decode["windows"]["unet"]) == (2 * 3, 2 * 3)
    assert report["official"]["official_seconds"] == 3 * 61
    assert report["settings"]["sampling"]["num_steps"] == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--modules", "lungs"), "there is no module lungs; choose from fbank, audiomae"),
        (("--device", "cuda:99"), "this machine has no device 'cuda:99'; choose cpu or auto"),
        (("--device", "abacus"), "'abacus' is not a device"),
        (("--official", "--model", "x"), "--official stands for a model; leave --model out"),
        (("--official", "--token-rate", "33"), "no official model has 33 tokens per second"),
        (("--model", "no-such-folder"), "no-such-folder is no model folder"),
        (("--seconds", "0"), "a sound of 0 s is not measured"),
    ],
)
def test_mistakes_get_one_clear_line(words, text, capfd):
    status, out, err = run(capfd, *words)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and text in err


def test_without_matplotlib_the_rest_is_written(tiny_folder, tmp_path, monkeypatch, capfd):
    real_import = builtins.__import__

    def without_matplotlib(name, *args):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    words = ("--model", tiny_folder, "--modules", "encode", "-o", tmp_path)
    status, text, err = run(capfd, *words)
    assert status == 0 and "encode 1 s" in text
    assert 'warning: no picture: drawing needs matplotlib; install it with pip install "sem' in err
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]
    assert "png" not in (tmp_path / "benchmark.md").read_text()
