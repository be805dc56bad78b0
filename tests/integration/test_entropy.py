"""Entropy-coded files by the commands: tables, a smaller file, the same sound."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from experiments.entropy_tables.__main__ import main as make_tables
from semanticodec import Codes, SemantiCodec
from semanticodec.cli import main
from semanticodec.errors import CheckpointError, ContainerError


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone of 15 s, which gives much the same codes throughout."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    time_s = np.arange(15 * 16_000) / 16_000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time_s), 16_000)
    return path


@pytest.fixture(scope="module")
def model(tiny_folder: Path, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with tables."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_folder, folder)
    codes = folder.parent / "tone.smtc"
    SemantiCodec.from_pretrained(folder).encode(str(recording)).save(codes)
    words = [codes, "--model", folder, "--held-out", codes, "--epochs", "8", "-q"]
    assert make_tables([str(word) for word in words]) == 0
    return folder


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_coded_file_is_smaller_and_sounds_the_same(
    recording: Path, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plain, small = tmp_path / "plain.smtc", tmp_path / "small.smtc"
    assert run("encode", recording, "-o", plain, "--model", model, "-q") == 0
    assert run("encode", recording, "-o", small, "--model", model, "-q", "--entropy") == 0
    assert small.stat().st_size < 0.7 * plain.stat().st_size

    capfd.readouterr()
    assert run("info", small, "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["bytes"] == small.stat().st_size
    assert facts["plain_bytes"] == plain.stat().st_size
    assert facts["positions"] == Codes.load(plain).num_positions[0]

    options = ("--model", model, "-q", "--num-steps", "1", "--threads", "1")
    for path in (plain, small):
        assert run("decode", path, "-o", path.with_suffix(".wav"), *options) == 0
    sounds = [path.with_suffix(".wav").read_bytes() for path in (plain, small)]
    assert sounds[0] == sounds[1]


def test_python_codes_too_and_a_saved_model_keeps_its_tables(
    recording: Path, model: Path, tmp_path: Path
) -> None:
    codec = SemantiCodec.from_pretrained(model)
    codes = codec.encode(str(recording))
    codes.save(tmp_path / "small.smtc", coder=codec.entropy_coder)
    copy = SemantiCodec.from_pretrained(codec.save_pretrained(tmp_path / "copy"))
    assert Codes.load(tmp_path / "small.smtc", coder=copy.entropy_coder) == codes
    with pytest.raises(ContainerError, match="entropy-coded with tables"):
        Codes.load(tmp_path / "small.smtc")


def test_a_model_without_its_tables_says_so(
    recording: Path,
    model: Path,
    tiny_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ("encode", recording, "-o", tmp_path / "small.smtc", "--entropy", "-q")
    assert run(*words, "--model", tiny_folder) == 2
    assert "the model has no tables for entropy coding" in capfd.readouterr().err
    (tables,) = model.glob("entropy_*.safetensors")
    other = SemantiCodec.from_pretrained(model)
    other.model_fingerprint = b"another!"
    with pytest.raises(CheckpointError, match=f"{tables.name} has the tables of model"):
        _ = other.entropy_coder
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / tables.name).write_bytes(tables.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        _ = SemantiCodec.from_pretrained(broken).entropy_coder
