"""Laws of listing training audio: every kind of source gives the same recordings."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from semanticodec.errors import DataError
from semanticodec.training.sources import find_entries


def write_tone(path, seconds=0.5, rate=16000, frequency=440.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency * time), rate)
    return path


def add_bytes(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_folder_names_the_domains(tmp_path):
    write_tone(tmp_path / "speech" / "deep" / "a.wav", 0.5)
    write_tone(tmp_path / "music" / "b.flac", 1.5)
    write_tone(tmp_path / "loose.ogg", 1.0)
    (tmp_path / "music" / "notes.txt").write_text("no audio")
    entries = find_entries((tmp_path,))
    found = {entry.path.rsplit("/", 1)[1]: (entry.domain, entry.duration_s) for entry in entries}
    assert found == {
        "a.wav": ("speech", 0.5),
        "b.flac": ("music", 1.5),
        "loose.ogg": (tmp_path.name, 1.0),
    }


def test_order_depends_on_names_only(tmp_path):
    for name in ("c", "a", "b"):
        write_tone(tmp_path / "x" / f"{name}.wav")
    paths = [entry.path for entry in find_entries((tmp_path,))]
    assert paths == sorted(paths)


def test_manifests_agree(tmp_path):
    write_tone(tmp_path / "audio" / "a.wav", 0.5)
    write_tone(tmp_path / "audio" / "b.wav", 1.0)
    (tmp_path / "list.csv").write_text(
        "path,domain,duration_s\naudio/a.wav,speech,0.5\naudio/b.wav,,\n"
    )
    rows = [{"path": "audio/a.wav", "domain": "speech", "duration_s": 0.5}, {"path": "audio/b.wav"}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    from_csv = find_entries((tmp_path / "list.csv",))
    assert from_csv == find_entries((tmp_path / "list.jsonl",))
    assert [(e.domain, e.duration_s) for e in from_csv] == [("speech", 0.5), ("all", 1.0)]


def test_shard_members_are_found_at_their_offsets(tmp_path):
    path = write_tone(tmp_path / "source" / "a.wav", 0.5)
    shard = tmp_path / "general" / "shard-000.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as archive:
        add_bytes(archive, "0001.wav", path.read_bytes())
        add_bytes(archive, "0001.json", b'{"domain": "music"}')
        add_bytes(archive, "0002.wav", path.read_bytes())
        add_bytes(archive, "0002.txt", b"a caption")
    entries = find_entries((shard,))
    assert [entry.domain for entry in entries] == ["music", "general"]
    for entry in entries:
        with entry.open() as stream:
            assert stream.read() == path.read_bytes()
    assert find_entries((shard.parent,)) == entries


def test_unreadable_recordings_are_left_out(tmp_path, caplog):
    write_tone(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_text("this is a text file")
    (tmp_path / "empty.wav").touch()
    assert [entry.path for entry in find_entries((tmp_path,))] == [str(tmp_path / "good.wav")]
    assert "bad.wav" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "does not exist"),
        ("list.txt", "a.wav", "no known kind"),
        ("list.csv", "file\na.wav\n", "Name the audio column `path`"),
        ("list.csv", "path,duration_s\na.wav,long\n", "give seconds"),
        ("list.jsonl", "{not json\n", "line 1: not JSON"),
        ("list.jsonl", "[1]\n", "one JSON object per line"),
        ("shard.tar", "no tar", "not a plain tar"),
        ("list.csv", "path\n", "No readable audio"),
    ],
)
def test_errors_say_what_to_do(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        find_entries((tmp_path / name,))


def test_hidden_files_are_left_out_and_every_suffix_is_known(tmp_path):
    write_tone(tmp_path / "music" / "a.aiff")
    write_tone(tmp_path / "music" / "._a.wav")
    write_tone(tmp_path / ".cache" / "b.wav")
    (tmp_path / "music" / "again").symlink_to(tmp_path / "music")
    assert [entry.path for entry in find_entries((tmp_path,))] == [
        str(tmp_path / "music" / "a.aiff")
    ]


def test_a_domain_is_named_by_a_folder_or_a_manifest_only(tmp_path):
    write_tone(tmp_path / "loose.wav")
    write_tone(tmp_path / "music" / "b.wav")
    (tmp_path / "list.csv").write_text("path,domain\nmusic/b.wav,speech\nloose.wav,\n")
    sources = (tmp_path, tmp_path / "list.csv")
    found = [(entry.domain, entry.is_domain_named) for entry in find_entries(sources)]
    assert found == [(tmp_path.name, False), ("music", True), ("speech", True), ("all", False)]
