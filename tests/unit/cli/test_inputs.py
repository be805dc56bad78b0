"""What stands on the command line becomes files."""

import io
import os
import sys
import threading

import pytest

from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.errors import ConfigError


@pytest.fixture
def tree(tmp_path):
    for name in ("b.wav", "a.FLAC", "deep/er/c.ogg", "notes.txt", "deep/.hidden.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(items, root):
    return [str(item.path.relative_to(root)) for item in items]


def test_a_folder_gives_its_sound_files_at_every_depth(tree):
    items = expand([str(tree)], AUDIO_SUFFIXES)
    assert names(items, tree) == ["a.FLAC", "b.wav", "deep/er/c.ogg"]
    assert [str(item.relative) for item in items] == ["a.FLAC", "b.wav", "deep/er/c.ogg"]


def test_patterns_reach_as_far_as_they_say(tree):
    assert names(expand([f"{tree}/*.wav"], AUDIO_SUFFIXES), tree) == ["b.wav"]
    assert names(expand([f"{tree}/**/*.ogg"], AUDIO_SUFFIXES), tree) == ["deep/er/c.ogg"]


def test_a_named_file_may_have_any_suffix_and_comes_once(tree):
    words = [f"{tree}/notes.txt", f"{tree}/b.wav", str(tree)]
    assert names(expand(words, AUDIO_SUFFIXES), tree) == [
        "notes.txt",
        "b.wav",
        "a.FLAC",
        "deep/er/c.ogg",
    ]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tree):
    (tree / "take [1].wav").touch()
    assert names(expand([f"{tree}/take [1].wav"], AUDIO_SUFFIXES), tree) == ["take [1].wav"]


def test_stdin_can_be_rewound(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sound")))
    (item,) = expand(["-"], AUDIO_SUFFIXES)
    with item.opened() as file:
        assert file.read() == b"sound"
        file.seek(0)
        assert file.read() == b"sound"


def test_a_missing_file_is_reported_when_its_turn_comes(tree):
    missing, present = expand([f"{tree}/x.wav", f"{tree}/b.wav"], AUDIO_SUFFIXES)
    with (
        pytest.raises(ConfigError, match="does not exist; give a file, a folder"),
        missing.opened(),
    ):
        pass
    with present.opened() as file:
        assert file.read() == b""


def test_an_empty_argument_is_an_unset_variable(tree, monkeypatch):
    monkeypatch.chdir(tree)
    with pytest.raises(ConfigError, match="an input is empty"):
        expand(["b.wav", ""], AUDIO_SUFFIXES)


def test_a_named_pipe_gives_what_comes_through_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (item,) = expand([f"{tmp_path}/pipe"], AUDIO_SUFFIXES)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"sound",))
    writer.start()
    with item.opened() as file:
        assert file.read() == b"sound"
        file.seek(2)
        assert file.read() == b"und"
    writer.join()


def test_a_folder_in_brackets_is_a_folder_before_it_is_a_pattern(tree):
    (tree / "take [1]").mkdir()
    (tree / "take [1]" / "d.wav").touch()
    assert names(expand([f"{tree}/take [1]/*.wav"], AUDIO_SUFFIXES), tree) == ["take [1]/d.wav"]


def test_a_pattern_stands_for_sound_files_if_there_are_any(tree):
    assert names(expand([f"{tree}/*"], AUDIO_SUFFIXES), tree) == ["a.FLAC", "b.wav"]
    assert names(expand([f"{tree}/*.txt"], AUDIO_SUFFIXES), tree) == ["notes.txt"]


def test_results_of_an_earlier_run_are_no_inputs(tree, capsys):
    (tree / "out").mkdir()
    for name in ("b.roundtrip.wav", "a.roundtrip.flac", "out/b.wav", "out/a.decoded.wav"):
        (tree / name).touch()
    (tree / "out" / "a.smtc").touch()
    expected = ["a.FLAC", "b.wav", "deep/er/c.ogg"]
    assert names(expand([str(tree)], AUDIO_SUFFIXES, f"{tree}/out"), tree) == expected
    assert "a.roundtrip.flac and 1 more are results of an earlier run" in capsys.readouterr().err
    assert names(expand([str(tree)], AUDIO_SUFFIXES), tree) == [*expected, "out/b.wav"]
    # The shell writes out a pattern that is not quoted.
    words = [f"{tree}/b.roundtrip.wav", f"{tree}/b.wav"]
    assert names(expand(words, AUDIO_SUFFIXES), tree) == ["b.wav"]
    assert names(expand(words[:1], AUDIO_SUFFIXES), tree) == ["b.roundtrip.wav"]
    # All there is, and the folder of the results itself.
    assert names(expand([f"{tree}/out"], AUDIO_SUFFIXES, f"{tree}/out"), tree) == ["out/b.wav"]


def test_results_alone_are_inputs_like_others(tmp_path):
    for name in ("a.decoded.wav", "a.smtc"):
        (tmp_path / name).touch()
    assert names(expand([str(tmp_path)], AUDIO_SUFFIXES), tmp_path) == ["a.decoded.wav"]


def test_a_folder_that_cannot_be_listed_is_reported_when_its_turn_comes(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    monkeypatch.setattr(os, "listdir", refuse)
    (item,) = expand([f"{tmp_path}/closed"], AUDIO_SUFFIXES)
    assert str(item.relative) == "closed"
    with (
        pytest.raises(ConfigError, match=r"closed cannot be read \(Permission denied\)"),
        item.opened(),
    ):
        pass
