"""The tutorials run from top to bottom, and their Python prints what they show."""

import pytest
from shell import execute, lines_of
from snippets import ROOT, run, snippets

from semanticodec.checkpoints import pretrained

CORPUS = "docs/tutorials/first_corpus.md"
NEW_ENVIRONMENT = "python -m venv .venv && source .venv/bin/activate"
LEFT = {  # what is there after the last line
    "docs/tutorials/first_sound.md": ["decoded.wav", "again.png", "at-25.wav"],
    CORPUS: ["corpus/webdataset/00000.tar", "corpus/jsonl/00000.jsonl"],
    "docs/tutorials/first_training.md": ["tiny.wav", "runs/vocoder/scalars.jsonl"],
}


@pytest.mark.usefixtures("unchecked_shapes")  # which takes half of the time
@pytest.mark.parametrize("page", LEFT)
def test_tutorial(page, quick_codec, tmp_path, monkeypatch, capsys):
    if page == CORPUS:  # any model will do; the first tutorial has rates to choose from
        folder = quick_codec.save_pretrained(tmp_path / "built-in")
        monkeypatch.setattr(pretrained, "DEFAULT_MODEL", folder)
    elif not (pretrained.DEFAULT_MODEL / pretrained.CONFIG_NAME).is_file():
        pytest.skip("there is no built-in model")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    namespace = {}
    for snippet in snippets(page):
        if snippet.language == "bash":
            for line in lines_of(snippet):
                if line.text != NEW_ENVIRONMENT:
                    execute(line.text)
            capsys.readouterr()
        elif snippet.language == "python":
            run(snippet, page, namespace)
        else:
            assert capsys.readouterr().out == snippet.body, f"{page}, line {snippet.line}"
    assert [name for name in LEFT[page] if not (tmp_path / name).is_file()] == []
