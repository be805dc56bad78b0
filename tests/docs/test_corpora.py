"""The five commands and the readers of docs/corpora.md run on a folder of FLAC."""

import json

import numpy as np
import pytest
import soundfile
from shell import execute, lines_of, shell_blocks
from snippets import run, snippets

from semanticodec.checkpoints import pretrained
from semanticodec.cli import main

DOCUMENT = "docs/corpora.md"
LENGTHS = {f"ann/{at}.flac": 8000 + 800 * at for at in range(12)}


def of_language(language):
    return [snippet for snippet in snippets(DOCUMENT) if snippet.language == language]


@pytest.fixture
def recordings(quick_codec, tmp_path, monkeypatch):
    """`recordings/` in the current folder, and a small model as the built-in one."""
    folder = quick_codec.save_pretrained(tmp_path / "built-in")
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", folder)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, length in LENGTHS.items():
        path = tmp_path / "recordings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(length), 16_000)


@pytest.mark.usefixtures("recordings")
def test_five_commands_and_every_reader(tmp_path, monkeypatch, capsys):
    datasets, _ = pytest.importorskip("datasets"), pytest.importorskip("webdataset")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    commands = [line.text for block in shell_blocks(DOCUMENT) for line in lines_of(block)]
    assert len(commands) == 5
    out = b"".join(map(execute, commands)).decode()
    assert "trial: 10 recordings encoded" in out and "corpus: 12 recordings encoded" in out
    assert "corpus: every file is as it was written" in out

    capsys.readouterr()
    namespace = {}
    for snippet in of_language("python"):
        run(snippet, DOCUMENT, namespace)
    record, codes, row = namespace["record"], namespace["codes"], namespace["row"]
    assert capsys.readouterr().out.count("\n") == len(LENGTHS)
    assert record.codes == codes  # the last of both readers
    assert namespace["tokens"].shape == (1, 2 * codes.semantic.shape[1])
    assert row["num_samples"] in LENGTHS.values()
    assert namespace["semantic"].shape == namespace["acoustic"].shape


@pytest.mark.usefixtures("recordings")
def test_the_line_of_the_manifest_is_understood(tmp_path):
    from semanticodec.corpus import read_corpus

    (line,) = (snippet.body for snippet in of_language("json"))
    written = {**json.loads(line), "path": "recordings/ann/0.flac"}
    (tmp_path / "train.jsonl").write_text(json.dumps(written))
    assert main(["tokenize", "train.jsonl", "-o", "corpus", "--format", "jsonl", "-q"]) == 0
    (record,) = read_corpus(tmp_path / "corpus")
    assert record.columns == {"text": "good morning", "speaker": "ann"}
