"""`python -m experiments.accelerator` by the real command, from packs to a model."""

import json
import tarfile

import pytest

from evaluation_fakes import run_here
from experiments.accelerator.__main__ import main
from semanticodec import SemantiCodec
from semanticodec.evaluation import reconstruction
from tiny_modules import write_audio


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    place = tmp_path_factory.mktemp("packs")
    source = write_audio(place / "source", seconds=(3.0, 1.0))
    clips = write_audio(place / "clips", seconds=(0.5,), domains=("speech",))
    words = ["pack", str(source), "-o", str(place / "packs"), "--clips", str(clips)]
    assert main(words) == 0
    return place / "packs"


@pytest.mark.slow  # half a minute; the parts have tests of their own
def test_a_model_is_trained_measured_and_brought_back(packs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(reconstruction, "run_tasks", run_here)
    run = tmp_path / "run"
    words = ["run", str(packs), "-o", str(run), "--plan", "tiny", "--device", "cpu", "--jobs", "1"]
    words += ["--minutes", "0.01"]

    # A call without time leaves an export of what it began, and the next one goes on.
    assert main([*words, "--call-minutes", "0.0001"]) == 1
    assert "audiomae: waits for the next call" in capsys.readouterr().out
    assert main(words) == 0
    journal = json.loads((run / "journal.json").read_text())
    assert all(step["is_finished"] and not step["error"] for step in journal["steps"].values())
    assert list(journal["steps"])[-1] == "decoder"
    assert "steps/s" in capsys.readouterr().out
    assert {path.suffix for path in (run / "samples").iterdir()} == {".flac", ".png"}
    assert "rate 25" in (run / "evaluation" / "report.md").read_text()

    # What is finished is not done again.
    weights = run / "decoder" / "export" / "decoder.safetensors"
    written = weights.stat().st_mtime_ns
    assert main(words) == 0
    assert weights.stat().st_mtime_ns == written

    out = tmp_path / "out"
    assert main(["collect", str(run), "-o", str(out), "--volume-mib", "8"]) == 2
    assert main(["collect", str(run), "-o", str(out)]) == 0
    [slice_of_all] = out.iterdir()
    assert slice_of_all.stat().st_size < 15 << 20
    with tarfile.open(slice_of_all) as archive:
        archive.extractall(tmp_path / "back", filter="data")
    for rate in (100, 50, 25):
        codec = SemantiCodec.from_pretrained(tmp_path / "back/decoder/export", token_rate=rate)
        assert codec.token_rate == rate
    config = json.loads((tmp_path / "back/decoder/export/config.json").read_text())
    assert config["training"]["recipe"] == "decoder/tiny"


def test_wrong_times_and_sizes_are_refused(packs, tmp_path, capsys):
    assert main(["run", str(packs), "-o", str(tmp_path), "--minutes", "0"]) == 2
    assert "--minutes is 0.0; give more than 0" in capsys.readouterr().err
    assert main(["pack", str(packs), "-o", str(tmp_path / "p"), "--part-mib", "nan"]) == 2
    assert "--part-mib is nan" in capsys.readouterr().err
