"""The paper's set: a small record on a server of this machine stands in for Zenodo."""

import csv
import hashlib
import io
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import ClassVar

import pooch
import pytest

from experiments.paper import archives
from experiments.paper import record as record_module
from experiments.paper.__main__ import main
from experiments.paper.record import fetch_record, folders_of, write_suite
from semanticodec.errors import DataError
from semanticodec.evaluation.suites import open_suite

DOMAINS = {
    "general": "audioset.zip/wav",
    "music": "rest.tar.gz/testset/musdb18",
    "speech": "rest.tar.gz/testset/LibriTTS",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and notes what was asked for."""

    asked: ClassVar[list] = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def zenodo(tmp_path):
    """A server, and a way to open the record of some files there."""
    root = tmp_path / "server"
    root.mkdir()
    Handler.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def put(files, **checksums):
        for name, content in files.items():
            (root / name).write_bytes(content)
        sums = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in files.items()}
        url = f"http://127.0.0.1:{server.server_port}/"
        return lambda folder: pooch.create(folder, base_url=url, registry={**sums, **checksums})

    yield put
    server.shutdown()


def zipped(members, **modes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = modes.get("mode", 0o100644) << 16
            archive.writestr(info, content)
    return stream.getvalue()


def tarred(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def fetch(zenodo, tmp_path):
    """Return the folder of an unpacked record."""

    def fetched(files, folder=None):
        return fetch_record(folder or tmp_path / "cache", open_record=zenodo(files))

    return fetched


@pytest.fixture
def record():
    return {
        "audioset.zip": zipped({"wav/Y1.wav": b"general"}),
        "rest.tar.gz": tarred(
            (tarfile.TarInfo("testset/musdb18/song1/mixture.wav"), b"one"),
            (tarfile.TarInfo("testset/musdb18/song2/mixture.wav"), b"two"),
            (tarfile.TarInfo("testset/LibriTTS/1089_1.wav"), b"said"),
            (tarfile.TarInfo("testset/LibriTTS/1089_1.normalized.txt"), b"He hoped\nso.\n"),
            (tarfile.TarInfo("testset/LibriTTS/1089_2.wav"), b"also said"),
        ),
        "readme.md": b"what this is",
    }


def test_the_record_becomes_a_suite_of_three_domains(record, fetch, tmp_path):
    files = fetch(record)
    problems = list(write_suite(files, DOMAINS, tmp_path / "suite"))
    suite = open_suite(tmp_path / "suite")
    assert [clip.name for clip in suite.clips] == [
        "general/Y1",
        "music/song1/mixture",
        "music/song2/mixture",
        "speech/1089_1",
        "speech/1089_2",
    ]
    assert [clip.path.read_bytes() for clip in suite.clips] == [
        *(b"general", b"one", b"two", b"said", b"also said")
    ]
    assert suite.clips[3].transcript == "He hoped so." and suite.clips[3].language == "en"
    assert suite.problems == ()
    assert problems == [
        "the paper's set has 1050 clips, these folders have 5",
        "1 speech clips have no transcript, so WER leaves them out",
    ]


def test_what_is_there_is_not_asked_for_again(record, fetch, tmp_path):
    files = fetch(record)
    Handler.asked.clear()
    assert fetch({}) == files and Handler.asked == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["files"]


def test_files_that_have_arrived_are_kept(record, zenodo, fetch, tmp_path):
    missing = {**record, "lost.zip": b""}
    open_record = zenodo(missing)
    (tmp_path / "server" / "lost.zip").unlink()
    with pytest.raises(DataError, match="404.*run again: files that have arrived are kept"):
        fetch_record(tmp_path / "cache", open_record=open_record)
    assert len(Handler.asked) == 4
    Handler.asked.clear()
    fetch(record)
    assert Handler.asked == []


def test_damage_on_the_way_is_noticed(record, zenodo, tmp_path):
    open_record = zenodo(record, **{"readme.md": "md5:" + "0" * 32})
    with pytest.raises(DataError, match="readme.md.*does not match the known hash"):
        fetch_record(tmp_path / "cache", open_record=open_record)
    assert not (tmp_path / "cache" / "downloads" / "readme.md").exists()


def test_no_connection_says_what_to_do(tmp_path):
    def refuse(folder):
        raise ConnectionError("no route to host")

    with pytest.raises(DataError, match="no route to host.*check the connection"):
        fetch_record(tmp_path, open_record=refuse)


@pytest.mark.parametrize("name", ["../outside.zip", "a\\b.zip"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    def listed(folder):
        return pooch.create(folder, base_url="http://127.0.0.1:9/", registry={name: "md5:0"})

    with pytest.raises(DataError, match="no plain file name"):
        fetch_record(tmp_path, open_record=listed)


def test_zenodos_answer_gives_names_and_checksums(tmp_path, monkeypatch):
    requests = pytest.importorskip("requests")

    class Answer:
        url = "https://zenodo.org/records/11047204"
        status_code = 200

        def json(self):
            return {"files": [{"key": "a.zip", "checksum": "md5:1", "links": {"self": "x"}}]}

        def raise_for_status(self):
            pass

    asked = []
    monkeypatch.setattr(requests, "get", lambda url, **_: asked.append(url) or Answer())
    assert record_module.open_record(tmp_path).registry == {"a.zip": "md5:1"}
    assert asked[-1] == "https://zenodo.org/api/records/11047204"


def hostile(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("speech.zip", zipped({"../../evil.wav": b"x"}), "leads outside"),
        ("speech.zip", zipped({"/evil.wav": b"x"}), "leads outside"),
        ("speech.zip", zipped({"a\\..\\evil.wav": b"x"}), "leads outside"),
        ("speech.zip", zipped({"link.wav": b"/etc/passwd"}, mode=0o120777), "no plain file"),
        ("speech.zip", b"PK not a zip", "cannot be unpacked"),
        ("speech.tar.gz", tarred((hostile("../evil.wav"), b"x")), "leads outside"),
        ("speech.tar", tarred((hostile("/evil.wav"), b"x")), "leads outside"),
        ("speech.tgz", tarred((hostile("l", tarfile.SYMTYPE, "/"), b"")), "no plain file"),
        ("speech.tgz", tarred((hostile("l", tarfile.LNKTYPE, "/x"), b"")), "no plain file"),
        ("speech.tgz", tarred((hostile("l", tarfile.FIFOTYPE), b"")), "no plain file"),
        ("speech.tar.gz", b"\x1f\x8b not a tar", "cannot be unpacked"),
    ],
    # Named by number: compressed archives hold the time, and parallel workers must agree on names.
    ids=count(),
)
def test_hostile_archives_are_refused(fetch, tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        fetch({name: content})
    assert not list(tmp_path.rglob("*.wav"))


def test_archives_that_swell_are_stopped(fetch, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than"):
        fetch({"speech.zip": zipped({"a.wav": bytes(600), "b.wav": bytes(600)})})
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(DataError, match="more than 1 files"):
        fetch({"speech.zip": zipped({"a.wav": b"", "b.wav": b""})})


def test_folders_without_recordings_are_named(fetch, tmp_path):
    files = fetch({"data.zip": zipped({"speech/1.wav": b"x", "set/2.wav": b"y"})})
    assert folders_of(files) == {"data.zip/set": 1, "data.zip/speech": 1}
    with pytest.raises(DataError, match="holds no recordings; folders with some are data.zip/set"):
        list(write_suite(files, {"music": "data.zip/songs"}, tmp_path / "suite"))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("transcript.tsv", "id\toriginal\tnormalized\na_1\tThe 2\tthe two\n"),
        ("speech/list.csv", 'path,text\nspeech/a_1.wav,"the two"\n'),
        ("a.trans.txt", "a_1 the two\nb_2 others\n"),
        ("said.json", '{"a_1": "the two", "n": 3}'),
        ("speech/a_1.txt", "the two\n"),
        ("speech/a_1.lab", "the two"),
    ],
)
def test_transcripts_are_found_in_the_forms_of_the_corpora(fetch, tmp_path, name, table):
    members = {"speech/a_1.wav": b"x", name: table.encode(), "broken.json": b"{"}
    files = fetch({"data.zip": zipped(members)})
    list(write_suite(files, {"speech": "data.zip/speech"}, tmp_path / "suite"))
    (clip,) = open_suite(tmp_path / "suite").clips
    assert (clip.transcript, clip.language) == ("the two", "en")


def test_the_command_lists_folders_and_then_writes_the_suite(record, fetch, tmp_path, capsys):
    fetch(record, tmp_path / "out")
    assert main(["-o", str(tmp_path / "out")]) == 0
    assert "1 recordings in audioset.zip/wav\n" in capsys.readouterr().out
    domains = [f"{domain}={folder}" for domain, folder in DOMAINS.items()]
    assert main(["-o", str(tmp_path / "out"), "--domain", *domains]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"The suite is {tmp_path / 'out' / 'suite'}\n"
    assert "warning: suite: the paper's set has 1050 clips" in captured.err
    rows = list(csv.DictReader((tmp_path / "out/suite/transcripts.tsv").open(), delimiter="\t"))
    assert [row["path"] for row in rows] == ["speech/1089_1.wav"]
