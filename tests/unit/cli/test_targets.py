"""Results of inputs that share a name get names of their own."""

from pathlib import Path

import pytest

from semanticodec.cli.inputs import Input
from semanticodec.cli.outputs import plan


def inputs(*paths):
    return [Input(name=path, path=Path(path), relative=Path(Path(path).name)) for path in paths]


@pytest.mark.parametrize(
    ("paths", "output", "expected"),
    [
        (["x.wav", "y.wav", "x.flac"], None, ["x.wav.smtc", "y.smtc", "x.flac.smtc"]),
        (["x.wav", "x.flac"], "out", ["out/x.wav.smtc", "out/x.flac.smtc"]),
        (["a/x.wav", "b/x.wav", "c.wav"], "out", ["out/a/x.smtc", "out/b/x.smtc", "out/c.smtc"]),
        (["x.wav", "b/x.wav"], "out", ["out/x.smtc", "out/b/x.smtc"]),
        (
            ["a/x.wav", "a/x.flac", "b/x.wav"],
            "out",
            ["out/a/x.wav.smtc", "out/a/x.flac.smtc", "out/b/x.smtc"],
        ),
        (
            ["x.wav", "x.flac", "x.wav.ogg"],
            None,
            ["x.wav.smtc", "x.flac.smtc", "x.wav.ogg.smtc"],
        ),
        (["take.1", "take.2"], None, ["take.1.smtc", "take.2.smtc"]),
    ],
)
def test_every_input_has_its_result(paths, output, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert [str(task.target) for task in plan(inputs(*paths), output, ".smtc")] == expected
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "inputs of one name give results of different names, such as" in message


def test_nothing_is_said_where_names_differ(capsys):
    plan(inputs("a/x.wav", "b/x.flac", "X.wav"), None, ".smtc")
    assert capsys.readouterr().err == ""
