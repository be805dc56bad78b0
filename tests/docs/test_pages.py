"""The Python of docs/transformers.md and docs/benchmarks_of_others.md runs."""

import pytest
from snippets import run, snippets

from semanticodec.checkpoints import pretrained


@pytest.mark.parametrize("document", ["docs/transformers.md", "docs/benchmarks_of_others.md"])
def test_python_runs(document, quick_codec, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    folder = quick_codec.save_pretrained(tmp_path / "built-in")
    monkeypatch.setattr(pretrained, "DEFAULT_MODEL", folder)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for snippet in snippets(document):
        if snippet.language == "python" and not snippet.skip:
            run(snippet, document, namespace)
    assert namespace["codec"] is not None
