"""Which files of a folder are meant."""

import os

import pytest

from semanticodec.listing import AUDIO_SUFFIXES, has_suffix, walk


def below(folder, suffixes=(".wav",)):
    return [str(path.relative_to(folder)) for path in walk(folder, suffixes)]


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_come_by_folder_and_name_hidden_ones_stay(tmp_path):
    make(tmp_path, "b.wav", "a.WAV", "in/c.wav", ".x.wav", "._a.wav", ".git/d.wav", "in/.t/e.wav")
    make(tmp_path, "f.wav.partial", "g.flac", "wav")
    assert below(tmp_path) == ["a.WAV", "b.wav", "in/c.wav"]
    make(tmp_path, ".start/h.wav")
    assert below(tmp_path / ".start") == ["h.wav"]  # the folder that is named may be hidden


def test_links_are_followed_after_folders_and_every_folder_is_visited_once(tmp_path):
    make(tmp_path, "here/real/a.wav", "elsewhere/b.wav")
    here = tmp_path / "here"
    (here / "again").symlink_to("real")
    (here / "real" / "loop").symlink_to(here)
    (here / "other").symlink_to(tmp_path / "elsewhere")
    (here / "file.wav").symlink_to("real/a.wav")
    assert below(here) == ["file.wav", "real/a.wav", "other/b.wav"]


def test_what_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    make(tmp_path, "a.wav", "closed/b.wav")
    (tmp_path / "gone.wav").symlink_to("nowhere")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    assert below(tmp_path) == ["a.wav", "gone.wav", "closed"]


def test_pipes_and_folders_with_a_suffix_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    make(tmp_path, "folder.wav/a.wav")
    assert below(tmp_path) == ["folder.wav/a.wav"]


@pytest.mark.parametrize("name", ["a.wav", "b.AIFF", "c.d.Oga", "caf\udce9.opus", "e..flac"])
def test_suffixes_are_those_of_libsndfile_in_any_case(name):
    assert has_suffix(name, AUDIO_SUFFIXES)


def test_names_without_suffix_are_no_audio():
    assert not any(has_suffix(name, AUDIO_SUFFIXES) for name in ("wav", ".wav", "a.wav~", "a.txt"))
