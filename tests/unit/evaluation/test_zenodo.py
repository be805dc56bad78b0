"""The paper's set by name: a small record stands in for Zenodo, which no test ever asks."""

import hashlib
import io
import json
import re
import tarfile
import urllib.error
import urllib.request
import zipfile
from itertools import count

import pytest
from semanticodec.evaluation.zenodo import API_URL, open_url, paper_suite

from semanticodec.errors import DataError
from semanticodec.evaluation import archives
from semanticodec.evaluation.suites import open_suite


class Response(io.BytesIO):
    def __init__(self, content, status=200):
        super().__init__(content)
        self.status = status


class Zenodo:
    """Answers like Zenodo, for the files that it is given; `break_after` cuts answers short."""

    def __init__(self, files, *, takes_ranges=True):
        self.files = files
        self.takes_ranges = takes_ranges
        self.break_after = None
        self.requests = []

    def describe(self):
        return [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{API_URL}/files/{name}/content"},
            }
            for name, content in self.files.items()
        ]

    def __call__(self, request):
        url, given = request.full_url, request.get_header("Range")
        self.requests.append((url, given))
        if url == API_URL:
            return Response(json.dumps({"files": self.describe()}).encode())
        content = self.files[url.split("/")[-2]]
        start, status = 0, 200
        if given and self.takes_ranges:
            start, status = int(re.fullmatch(r"bytes=(\d+)-", given)[1]), 206
        return Response(content[start : self.break_after], status)


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


def fetch(files, tmp_path, **options):
    return paper_suite(cache=tmp_path, open_url=Zenodo(files, **options))


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


def test_the_record_becomes_clips_of_three_domains(record, tmp_path):
    suite = fetch(record, tmp_path)
    assert suite.name == "paper"
    assert [clip.name for clip in suite.clips] == [
        "general/Y1",
        "music/rest.tar.gz/testset/musdb18/song1/mixture",
        "music/rest.tar.gz/testset/musdb18/song2/mixture",
        "speech/1089_1",
        "speech/1089_2",
    ]
    assert [clip.path.read_bytes() for clip in suite.clips] == [
        *(b"general", b"one", b"two", b"said", b"also said")
    ]
    assert suite.clips[3].transcript == "He hoped so."
    assert suite.problems == (
        "the paper's set has 1050 clips, https://zenodo.org/records/11047204 gave 5",
        "1 speech clips have no transcript, so WER leaves them out",
    )


def test_what_is_there_is_not_asked_for_again(record, tmp_path):
    fetch(record, tmp_path)
    silent = Zenodo({})
    assert len(paper_suite(cache=tmp_path, open_url=silent).clips) == 5
    assert silent.requests == []
    assert [path.name for path in tmp_path.glob("*/*")] == ["files"]


@pytest.mark.parametrize("takes_ranges", [True, False])
def test_a_download_that_broke_off_goes_on(record, tmp_path, takes_ranges):
    zenodo = Zenodo(record, takes_ranges=takes_ranges)
    zenodo.break_after = 60
    with pytest.raises(DataError, match=r"broke off after 60 of .* it goes on where it stopped"):
        paper_suite(cache=tmp_path, open_url=zenodo)
    zenodo.break_after = None
    zenodo.requests.clear()
    assert len(paper_suite(cache=tmp_path, open_url=zenodo).clips) == 5
    assert [given for _, given in zenodo.requests] == [None, "bytes=60-", None, None]


def test_damage_on_the_way_is_noticed_and_removed(record, tmp_path):
    class Damaged(Zenodo):
        def describe(self):
            return [{**entry, "checksum": "md5:" + "0" * 32} for entry in super().describe()]

    with pytest.raises(DataError, match="audioset.zip of .* arrived damaged"):
        paper_suite(cache=tmp_path, open_url=Damaged(record))
    assert list(tmp_path.glob("*/downloads/*")) == []


def test_no_connection_says_what_to_do(tmp_path):
    def refuse(request):
        raise urllib.error.URLError("no route to host")

    with pytest.raises(DataError, match="no route to host.*check the connection"):
        paper_suite(cache=tmp_path, open_url=refuse)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "../outside.zip"},
        {"checksum": "crc:1"},
        {"links": {}},
        {"size": "many"},
    ],
)
def test_a_description_that_cannot_be_trusted_is_refused(record, tmp_path, change):
    class Odd(Zenodo):
        def describe(self):
            return [{**entry, **change} for entry in super().describe()]

    with pytest.raises(DataError, match="does not list files as expected"):
        paper_suite(cache=tmp_path, open_url=Odd(record))


def test_only_https_is_spoken(record, tmp_path):
    class Plain(Zenodo):
        def describe(self):
            links = {"self": "http://zenodo.org/x"}
            return [{**entry, "links": links} for entry in super().describe()]

    with pytest.raises(DataError, match="http://zenodo.org/x is not an https address"):
        paper_suite(cache=tmp_path, open_url=Plain(record))
    with pytest.raises(DataError, match="not an https address"):
        open_url(urllib.request.Request("file:///etc/passwd"))


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
def test_hostile_archives_are_refused(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        fetch({name: content}, tmp_path / "cache")
    assert not list(tmp_path.rglob("*.wav"))


def test_archives_that_swell_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than"):
        fetch({"speech.zip": zipped({"a.wav": bytes(600), "b.wav": bytes(600)})}, tmp_path)
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(DataError, match="more than 1 files"):
        fetch({"speech.zip": zipped({"a.wav": b"", "b.wav": b""})}, tmp_path)


@pytest.mark.parametrize(
    ("path", "domain"),
    [
        ("evaluation/speech/x.wav", "speech"),
        ("MUSDB18/test/audio/x.wav", "music"),
        ("speech_music_general/audioset_eval/x.wav", "general"),
        ("all/libritts_1089.wav", "speech"),
        ("general/musical_box.wav", "general"),
        ("sounds/x.wav", "general"),
    ],
)
def test_words_in_names_tell_the_domain(tmp_path, path, domain):
    suite = fetch({"data.zip": zipped({path: b"x", "speech/other.wav": b"y"})}, tmp_path)
    (clip,) = [clip for clip in suite.clips if not clip.name.endswith("other")]
    assert clip.domain == domain


def test_recordings_without_a_domain_are_named(tmp_path):
    suite = fetch({"data.zip": zipped({"speech/1.wav": b"x", "set/2.wav": b"y"})}, tmp_path)
    assert suite.domains == {"speech": 1}
    assert "data.zip/set/2.wav is left out: no folder name tells its domain" in suite.problems
    with pytest.raises(DataError, match="holds no recordings of speech, music or general sound"):
        fetch({"data.zip": zipped({"2.wav": b"y"})}, tmp_path / "other")


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
def test_transcripts_are_found_in_the_forms_of_the_corpora(tmp_path, name, table):
    members = {"speech/a_1.wav": b"x", name: table.encode(), "broken.json": b"{"}
    (clip,) = fetch({"data.zip": zipped(members)}, tmp_path).clips
    assert (clip.transcript, clip.language) == ("the two", "en")


def test_the_name_leads_here_through_the_cache_folder(record, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fetch(record, tmp_path / "semanticodec")
    assert open_suite("paper", limit=1).domains == {"general": 1, "music": 1, "speech": 1}
