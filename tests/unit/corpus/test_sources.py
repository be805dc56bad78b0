"""Every kind of source lists its recordings, and each gives the samples of its file alone."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from semanticodec.audio.io import load_audio
from semanticodec.corpus.encode_items import encode_items
from semanticodec.corpus.plan import with_ids
from semanticodec.corpus.sources import list_items
from semanticodec.corpus.threads import model_threads
from semanticodec.errors import AudioError, DataError

RATE = 16_000


def samples(seed, seconds=0.5):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


def flac(seed, seconds=0.5):
    file = io.BytesIO()
    soundfile.write(file, samples(seed, seconds), RATE, format="FLAC")
    return file.getvalue()


def listed(*sources, **options):
    return with_ids(list(list_items(map(str, sources), **options)))


def ids(*sources):
    return [item.id for item in listed(*sources)]


def encoded(codec, items):
    """Return what each recording gives, codes or an error, by id."""
    with model_threads(1) as models:
        found = encode_items(codec.recording_encoder(), items, models)
        return {items[number].id: result for number, result in found}


def check(codec, items, expected):
    """See that items give the codes of `expected` audio, in order."""
    found = encoded(codec, items)
    assert len(found) == len(items) == len(expected)
    for item, audio in zip(items, expected):
        codes = codec.encode(audio)
        assert found[item.id].semantic.equal(codes.semantic), item
        assert found[item.id].acoustic.equal(codes.acoustic), item
        assert found[item.id].num_samples == codes.num_samples[0]


@pytest.fixture
def folder(tmp_path):
    for at, name in enumerate(("b/one.flac", "a/one.flac", "a/one.wav", "two.flac")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples(at), RATE)
    (tmp_path / "in" / "notes.txt").write_text("not a recording")
    return tmp_path / "in"


def test_names_are_as_short_as_they_are_unique(folder):
    assert ids(folder) == ["a/one.flac", "a/one.wav", "b/one", "two"]
    assert ids(folder / "a", folder / "two.flac") == ["one.flac", "one.wav", "two"]
    one, other = ids(folder / "a" / "one.wav", folder / "b" / "one.flac")
    assert (one, other) == ("one.wav", "one.flac")
    with pytest.raises(DataError, match="is the name of two recordings"):
        ids(folder, folder)


def test_two_folders_of_the_same_names(folder):
    names = ids(folder / "a", folder / "b")
    assert names[0].endswith("/a/one.flac") and names[2].endswith("/b/one.flac")
    assert not any(name.startswith("/") for name in names)


def test_patterns_and_lists_on_stdin(folder):
    assert ids(f"{folder}/**/*.wav") == ["a/one"]
    lines = io.StringIO(f"{folder}/two.flac\n\n{folder}/b\n")
    assert [item.id for item in listed("-", stdin=lines)] == ["two", "one"]


def test_numbered_files(folder):
    for number in ("08", "09", "10"):
        (folder / f"{number}.flac").write_bytes((folder / "two.flac").read_bytes())
    assert ids(f"{folder}/{{08..10}}.flac") == ["08", "09", "10"]
    with pytest.raises(DataError, match="11.flac does not exist"):
        ids(f"{folder}/{{08..12}}.flac")


def test_a_list_of_nothing():
    with pytest.raises(DataError, match="standard input holds no recordings"):
        listed("-", stdin=io.StringIO("\n"))


@pytest.mark.parametrize(
    ("source", "message"),
    [("missing.wav", "does not exist"), ("*.nothing", "no file matches"), ("empty", "holds no")],
)
def test_sources_that_hold_nothing(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        ids(source)


def test_segments_of_a_manifest(folder, tiny_codec):
    wav = samples(9, 3.0)
    soundfile.write(folder / "long.flac", wav, RATE)
    rows = [
        {"path": "long.flac", "offset": 0.25, "duration": 0.5, "speaker": "x", "score": 1.5},
        {"path": "long.flac", "offset": 2.75, "duration": 1.0, "tags": ["a"], "bad": float("nan")},
        {"audio_filepath": "two.flac", "id": "own/name"},
        {"path": "long.flac", "offset": 5},
    ]
    manifest = folder / "rows.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = listed(manifest)
    assert [item.id for item in items] == [
        "long-0000250-0000750", "long-0002750-0003750", "own/name", "long-0005000",
    ]  # fmt: skip
    assert items[0].columns == {"speaker": "x", "score": 1.5}
    assert items[1].columns == {"tags": '["a"]', "bad": None}
    wav, _ = soundfile.read(folder / "long.flac", dtype="float32")
    check(tiny_codec, items[:3], [wav[4000:12000], wav[44000:], folder / "two.flac"])
    (error,) = encoded(tiny_codec, items[3:]).values()
    assert isinstance(error, AudioError) and "lasts 3 s" in str(error)


def test_segments_are_cut_at_the_rate_of_their_file(tmp_path, tiny_codec):
    wav = 0.1 * np.random.default_rng(4).standard_normal((44_100, 2))
    soundfile.write(tmp_path / "a.flac", wav, 44_100)
    (tmp_path / "m.csv").write_text('path,offset,duration,text\na.flac,0.1,0.3,"one, two"\n')
    items = listed(tmp_path / "m.csv")
    assert items[0].columns == {"text": "one, two"}
    wav, _ = soundfile.read(tmp_path / "a.flac", dtype="float32")
    codes = tiny_codec.encode(wav[4410 : 4410 + 13230].T, 44_100)
    (found,) = encoded(tiny_codec, items).values()
    assert found.semantic.equal(codes.semantic) and found.acoustic.equal(codes.acoustic)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "path\n", "holds no recordings"),
        ("m.csv", "file\na.wav\n", r"line 2: no path or audio_filepath"),
        ("m.csv", "path,offset\na.wav,-1\n", r"line 2: '-1' is no number of seconds"),
        ("m.csv", "path,x\na.wav\n", "not as many fields"),
        ("m.jsonl", "[1]\n", "no JSON object"),
        ("m.jsonl", "{\n", "no JSON object per line"),
        ("m.jsonl", '{"path": "a.wav", "id": "../a"}\n', "could be no file's name"),
    ],
)
def test_manifests_that_are_wrong(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        ids(tmp_path / name)


def test_kaldi_tables(folder, tiny_codec):
    data = folder / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"r2 {folder}/two.flac\nr1 ../a/one.wav\n")
    assert ids(data) == ids(data / "wav.scp") == ["r2", "r1"]
    check(tiny_codec, listed(data), [folder / "two.flac", folder / "a" / "one.wav"])
    (data / "segments").write_text("u1 r1 0.125 0.375\n")
    wav, _ = soundfile.read(folder / "a" / "one.wav", dtype="float32")
    check(tiny_codec, listed(data), [wav[2000:6000]])
    (data / "wav.scp").write_text("r1 sph2pipe a.sph |\n")
    with pytest.raises(DataError, match="output of a command"):
        ids(data)


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_webdataset_tars(tmp_path, tiny_codec):
    sounds = [flac(seed) for seed in range(4)]
    write_tar(
        tmp_path / "s-0.tar",
        {
            "x/1.flac": sounds[0],
            "x/1.json": b'{"text": "hi", "n": 2}',
            "x/2.json": b"{}",
            "x/2.flac": sounds[1],
            "x/2.txt": b"there\n",
            "x/3.txt": b"no sound",
            "same.flac": sounds[2],
        },
    )
    write_tar(tmp_path / "s-1.tar", {"./same.flac": sounds[3]})
    items = listed(tmp_path)
    assert [item.id for item in items] == ["x/1", "x/2", "s-0/same", "s-1/same"]
    assert [dict(item.columns) for item in items[:2]] == [{"text": "hi", "n": 2}, {"text": "there"}]
    check(tiny_codec, items, [io.BytesIO(sound) for sound in sounds])


def test_tars_that_are_none(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(DataError, match="unpack it if it is compressed"):
        ids(tmp_path / "a.tar")


def test_parquet_with_a_column_of_sound(tmp_path, tiny_codec):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    sounds = [flac(seed) for seed in range(5)]
    table = pyarrow.table(
        {
            "audio": [{"bytes": sound, "path": f"{at}.flac"} for at, sound in enumerate(sounds)],
            "text": list("vwxyz"),
            "count": [1, 2, 3, 4, None],
            "skipped": [[1]] * 5,
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    items = listed(tmp_path / "t.parquet")
    assert [item.id for item in items] == list("01234")
    assert items[4].columns == {"text": "z", "count": None}
    check(tiny_codec, items, [io.BytesIO(sound) for sound in sounds])
    check(tiny_codec, items[::-1], [io.BytesIO(sound) for sound in sounds[::-1]])


def test_parquet_of_bare_bytes_and_none(tmp_path, tiny_codec):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"id": ["a", "b"], "flac": [flac(1), None]})
    parquet.write_table(table, tmp_path / "t.parquet")
    items = listed(tmp_path / "t.parquet")
    check(tiny_codec, items[:1], [io.BytesIO(flac(1))])
    assert "holds no sound file" in str(encoded(tiny_codec, items)["b"])


@pytest.mark.parametrize("splits", [False, True])
def test_datasets_of_hugging_face_on_disk(tmp_path, tiny_codec, splits):
    datasets = pytest.importorskip("datasets")
    sounds = [flac(seed) for seed in range(3)]
    outside = tmp_path / "outside.flac"
    outside.write_bytes(flac(7))
    values = [{"bytes": sound, "path": None} for sound in sounds]
    values.append({"bytes": None, "path": str(outside)})
    data = datasets.Dataset.from_dict({"audio": values, "label": [3, 4, 5, 6]})
    data = data.cast_column("audio", datasets.Audio(decode=False))
    saved = datasets.DatasetDict({"train": data, "test": data}) if splits else data
    saved.save_to_disk(tmp_path / "saved")
    items = listed(tmp_path / "saved")
    assert len({item.id for item in items}) == len(items) == (8 if splits else 4)
    assert [item.columns["label"] for item in items[:4]] == [3, 4, 5, 6]
    expected = [load_audio(sound) for sound in (*sounds, outside)]
    check(tiny_codec, items, expected * (2 if splits else 1))
