"""The walkthrough runs from top to bottom and prints what it says it prints."""

from snippets import run, snippets

DOCUMENT = "docs/walkthrough.md"


def test_walkthrough_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    shown = 0
    for snippet in snippets(DOCUMENT):
        if snippet.language == "python":
            run(snippet, DOCUMENT, namespace)
        elif snippet.language == "text":
            shown += 1
            assert capsys.readouterr().out == snippet.body, f"{DOCUMENT}, line {snippet.line}"
    assert shown > 10
