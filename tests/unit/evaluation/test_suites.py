"""Folders become clips with domains and transcripts, and what does not fit is named."""

import os
from pathlib import Path

import pytest

from semanticodec.errors import DataError
from semanticodec.evaluation.suites import Clip, open_suite

DATA = os.environ.get("SEMANTICODEC_DATA")


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def write_transcripts(folder, *rows):
    lines = ["\t".join(row) for row in rows]
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_first_folder_is_the_domain(tmp_path):
    suite = open_suite(touch(tmp_path / "set", "speech/b.flac", "speech/a/deep.wav", "music/x.ogg"))
    assert suite.name == "set"
    assert [(clip.name, clip.domain) for clip in suite.clips] == [
        ("music/x", "music"),
        ("speech/a/deep", "speech"),
        ("speech/b", "speech"),
    ]
    assert suite.domains == {"music": 1, "speech": 2}
    assert suite.problems == ()


def test_a_flat_folder_has_one_domain(tmp_path):
    suite = open_suite(touch(tmp_path, "1.wav", "2.wav", "notes.txt", ".hidden.wav"))
    assert suite.domains == {"all": 2}
    assert [clip.name for clip in suite.clips] == ["1", "2"]


def test_limit_takes_the_first_of_each_domain(tmp_path):
    touch(tmp_path, *(f"{domain}/{i}.wav" for domain in ("speech", "music") for i in range(4)))
    suite = open_suite(tmp_path, limit=2)
    assert [clip.name for clip in suite.clips] == ["music/0", "music/1", "speech/0", "speech/1"]


def test_transcripts_belong_to_their_clips(tmp_path):
    touch(tmp_path, "speech/a.wav", "speech/b.wav")
    write_transcripts(
        tmp_path,
        ("path", "speaker", "language", "transcript"),
        ("speech/a.wav", "1", "de", 'Sie sagte "ja" – „so"'),
    )
    first, second = open_suite(tmp_path).clips
    assert (first.transcript, first.language) == ('Sie sagte "ja" – „so"', "de")
    assert (second.transcript, second.language) == (None, None)


def test_a_table_with_only_path_and_transcript_will_do(tmp_path):
    write_transcripts(touch(tmp_path, "a.wav"), ("path", "transcript"), ("a.wav", "yes"))
    (clip,) = open_suite(tmp_path).clips
    assert (clip.transcript, clip.language) == ("yes", None)


def test_what_does_not_fit_together_is_named(tmp_path):
    touch(tmp_path, "speech/a.wav", "speech/a.flac")
    write_transcripts(
        tmp_path,
        ("path", "transcript"),
        ("speech/gone.wav", "lost words"),
        ("speech/a.flac", "one"),
        ("speech/a.flac", "two"),
    )
    suite = open_suite(tmp_path)
    assert len(suite.clips) == 1
    assert suite.clips[0].transcript == "one"
    assert suite.problems == (
        "transcripts.tsv names speech/a.flac twice; the first row counts",
        "speech/a.wav is left out: a.flac has the same name without suffix",
        "transcripts.tsv names speech/gone.wav, which is not there",
    )


def test_unusable_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="is no folder; give one with recordings"):
        open_suite(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no recordings"):
        open_suite(tmp_path)
    touch(tmp_path, "a.wav")
    (tmp_path / "transcripts.tsv").write_text("file\ttext\na.wav\thello\n")
    with pytest.raises(DataError, match="has the columns file, text; it needs a first line with"):
        open_suite(tmp_path)
    (tmp_path / "transcripts.tsv").write_bytes(b"path\ttranscript\na.wav\t\xff\xfe\n")
    with pytest.raises(DataError, match="is not a table in UTF-8"):
        open_suite(tmp_path)


def test_speech_is_a_speech_domain_or_known_words():
    def is_speech(domain, transcript=None):
        return Clip(name="x", domain=domain, path=Path("x"), transcript=transcript).is_speech

    assert is_speech("speech") and is_speech("speech_extra") and is_speech("all", "words")
    assert not is_speech("music") and not is_speech("all") and not is_speech("speechless")


@pytest.mark.skipif(DATA is None, reason="SEMANTICODEC_DATA names no folder with the eval set")
def test_the_real_set():
    suite = open_suite(Path(str(DATA)) / "eval")
    assert suite.domains == {"general": 40, "music": 40, "speech": 40, "speech_extra": 30}
    assert suite.problems == ()
    spoken = [clip for clip in suite.clips if clip.is_speech]
    assert len(spoken) == 70 and all(clip.transcript for clip in spoken)
    assert {clip.language for clip in spoken} == {"de", "en", "nl"}
