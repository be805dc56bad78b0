"""The commands of docs/fine_tuning.md run, one step long, and leave the codes as they were."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from shell import lines_of, shell_blocks, words_of
from snippets import ROOT, run, snippets

from semanticodec import SemantiCodec
from semanticodec.checkpoints import pretrained
from semanticodec.cli import main
from semanticodec.recipes import decoder as recipes

DOCUMENT = "docs/fine_tuning.md"
SHORT = ["--steps", "1", "--batch-size", "1", "--threads", "1", "--quiet"]


def commands():
    """Return the words of the page's commands that need nothing but audio."""
    blocks = shell_blocks(DOCUMENT)
    found = [words_of(line.text) for block in blocks for line in lines_of(block)]
    return [words for program, *words in found if program == "semanticodec"]


@pytest.fixture
def start(quick_codec, tmp_path, monkeypatch):
    """`mine/` in the current folder, and a small model as the built-in one."""
    folder = quick_codec.save_pretrained(tmp_path / "built-in")
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", folder)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("train/music/a.wav", "train/music/b.wav", "test/music/one.wav"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(44_000), 16_000)


@pytest.mark.usefixtures("start", "unchecked_shapes")  # which takes half of the time
def test_the_commands_of_the_page():
    namespace = {}
    for snippet in snippets(DOCUMENT):
        if snippet.language == "python":
            run(snippet, DOCUMENT, namespace)
    found = {words[0] for words in commands()}
    assert found == {"train", "evaluate", "roundtrip"}
    for words in commands():
        assert main([*words, *(SHORT if words[0] == "train" else ["--quiet"])]) == 0, words
    before = SemantiCodec.from_pretrained("start")
    after = SemantiCodec.from_pretrained("runs/mine/export")
    codes = before.encode("mine/test/music/one.wav")
    assert after.encode("mine/test/music/one.wav") == codes  # and the model's name in them
    assert not torch.equal(after.decode(codes), before.decode(codes, num_steps=1))
    report = Path("results/mine/report.md").read_text(encoding="utf-8")
    assert "before" in report and "after" in report


def test_recipes_named_on_the_page_exist():
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    for name in ("fine_tune", "fine_tune_frozen", "fine_tune_alone", "small_together"):
        assert f"| `{name}` |" in text and name in recipes.RECIPES


def test_fine_tuning_leaves_the_encoder_alone():
    for make in (recipes.fine_tune, recipes.fine_tune_frozen, recipes.fine_tune_alone):
        assert not make().stage_config.trains_acoustic
    assert recipes.fine_tune_alone().stage_config.adversarial_weight == 0
