"""The Python of docs/transformers.md and its neighbors runs."""

import pytest
from snippets import run, snippets

from semanticodec.checkpoints import pretrained

PAGES = [
    "docs/transformers.md",
    "docs/benchmarks_of_others.md",
    "docs/language_models.md",
    "docs/streaming.md",
    "docs/features.md",
]


@pytest.mark.parametrize("document", PAGES)
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
    if document == "docs/features.md":
        assert namespace["accuracy"] == 1  # the page's probe has learned
        assert namespace["frames"].shape[1] >= max(namespace["lengths"])
