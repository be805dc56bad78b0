"""What stands on the command line becomes files."""

import io
import sys

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
