"""The tutorials run from top to bottom, and their Python prints what they show."""

import re
import shlex

import pytest
from snippets import ROOT, run, snippets

from semanticodec.checkpoints import pretrained
from semanticodec.cli import main

PAGES = [f"docs/tutorials/first_{name}.md" for name in ("sound", "corpus", "training")]
LEFT = {  # what is there after the last line
    "docs/tutorials/first_sound.md": ["decoded.wav", "again.png", "decoded/speech.wav"],
    "docs/tutorials/first_corpus.md": ["corpus/webdataset/00000.tar", "corpus/jsonl/00000.jsonl"],
    "docs/tutorials/first_training.md": ["tiny.wav", "runs/vocoder/scalars.jsonl"],
}


@pytest.mark.skipif(
    not (pretrained.DEFAULT_MODEL / pretrained.CONFIG_NAME).is_file(),
    reason="the tutorials use the built-in model",
)
@pytest.mark.parametrize("page", PAGES)
def test_tutorial(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    namespace = {}
    for snippet in snippets(page):
        if snippet.language == "bash":
            execute(snippet.body)
            capsys.readouterr()
        elif snippet.language == "python":
            run(snippet, page, namespace)
        else:
            assert capsys.readouterr().out == snippet.body, f"{page}, line {snippet.line}"
    assert [name for name in LEFT[page] if not (tmp_path / name).is_file()] == []


def execute(script):
    """Run the package's own commands; of others look for the extras that they install."""
    for line in script.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        if program == "semanticodec":
            assert main(words) == 0, line
        else:
            (extra,) = re.findall(r"\[(\w+)\]", line) or ["dev"]
            assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
