"""Whatever the records, every format gives them back; and so do the libraries they are for."""

import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_records import random_codes, random_record
from semanticodec import Codes, TokenFormat
from semanticodec.corpus import TokenRecord, read_corpus
from semanticodec.corpus.formats import FORMATS, formats_named
from semanticodec.corpus.formats.keys import key_of
from semanticodec.errors import CodesError, ConfigError, DataError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
IDS = st.one_of(
    st.text(st.sampled_from("aÄ音/._% \n-"), min_size=1, max_size=12), TEXTS.filter(bool)
)
COLUMNS = st.dictionaries(
    st.one_of(st.sampled_from(["id", "id_", "semantic", "text", "speaker", "codes"]), TEXTS),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    max_size=4,
)
SIZES = st.sampled_from([2, 1024, 65_536])
TOKEN_FORMATS = st.builds(
    TokenFormat,
    st.sampled_from([25, 50, 100]),
    semantic_vocab_size=SIZES,
    acoustic_vocab_size=SIZES,
    sample_rate=st.sampled_from([16_000, 48_000]),
)


@st.composite
def corpora(draw):
    """Draw the shards of a corpus of one token format."""
    ids = draw(st.lists(IDS, min_size=1, max_size=5, unique=True))
    format, fingerprint = draw(TOKEN_FORMATS), draw(st.binary(min_size=8, max_size=8))
    records = [
        TokenRecord(
            id=id,
            codes=random_codes(
                draw(st.one_of(st.integers(1, 9), st.integers(1, 700_000))), 1, format, fingerprint
            ),
            source=draw(TEXTS),
            columns=draw(COLUMNS),
        )
        for id in ids
    ]
    first = draw(st.integers(1, len(records)))
    return [shard for shard in (records[:first], records[first:]) if shard]


def columns_of(record, is_table):
    """Return a record's columns with their types; tables do not tell missing from None."""
    columns = {name: (type(value), value) for name, value in record.columns.items()}
    if not is_table:
        return columns
    return {name: value for name, value in columns.items() if value[1] is not None}


def assert_same(read, records, is_table=False):
    read = list(read)
    assert [(record.id, record.source) for record in read] == [
        (record.id, record.source) for record in records
    ]
    for one, other in zip(read, records, strict=True):
        assert one.codes == other.codes, one.id
        assert columns_of(one, is_table) == columns_of(other, is_table)


def write(format, folder, shards):
    """Write shards and what joins them; return the files."""
    files = [file for name, shard in shards.items() for file in format.write(folder, name, shard)]
    return files + format.finish(folder)


def numbered(shards):
    return {f"{number:05d}": shard for number, shard in enumerate(shards)}


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
@given(shards=corpora())
@settings(max_examples=25, deadline=None)
def test_any_records_survive(format, shards):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write(format, folder, numbered(shards))
        records = [record for shard in shards for record in shard]
        assert_same(format.read(folder), records, is_table=format.name == "parquet")
        assert {folder / file for file in files} == {
            path for path in folder.rglob("*") if path.is_file()
        }


@pytest.fixture(scope="module")
def records():
    """Records such as a corpus of speech has; two of them share a stem."""
    columns = {"text": "Grüße, 音", "speaker": 7, "snr": 21.5, "clean": True, "language": None}
    names = ["a/b 1.wav", "c/b 1.wav", "c/b 1.flac", "long"]
    lengths = [40_000, 1, 163_841, 16_000 * 200]
    return [
        random_record(name, length, seed, {**columns, "speaker": seed})
        for seed, (name, length) in enumerate(zip(names, lengths))
    ]


@pytest.fixture(scope="module")
def corpus(records, tmp_path_factory):
    """Three shards of the records in every format."""
    folder = tmp_path_factory.mktemp("corpus")
    shards = numbered([records[:2], records[2:3], records[3:]])
    for format in FORMATS.values():
        write(format, folder, shards)
    return folder


def streams(record):
    return record.codes.stacked()[0].numpy()


def test_datasets_opens_parquet(corpus, records, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    read = datasets.load_dataset(
        "parquet", data_dir=str(corpus / "parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert read.features["semantic"] == datasets.List(datasets.Value("uint16"))
    assert read["id"] == [record.id for record in records]
    assert read["text"] == ["Grüße, 音"] * 4 and read["speaker"] == [0, 1, 2, 3]
    assert read["clean"] == [True] * 4 and read["language"] == [None] * 4
    for row, record in zip(read, records, strict=True):
        assert np.array_equal([row["semantic"], row["acoustic"]], streams(record))
        assert row["num_samples"] == record.codes.num_samples[0]
        assert row["fingerprint"] == record.codes.fingerprint.hex()


def test_pyarrow_opens_parquet_row_group_by_row_group(corpus, records, tmp_path, monkeypatch):
    dataset = pytest.importorskip("pyarrow.dataset").dataset(corpus / "parquet")
    rows = dataset.to_table().to_pylist()
    for row, record in zip(rows, records, strict=True):
        assert np.array_equal([row["semantic"], row["acoustic"]], streams(record))
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("semanticodec.corpus.formats.parquet.ROW_GROUP_POSITIONS", 200)
    FORMATS["parquet"].write(tmp_path, "00000", records)
    (path,) = (tmp_path / "parquet").iterdir()
    with parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert groups == [3, 1]  # 128 + 8 + 520, 10 000 positions
    assert_same(FORMATS["parquet"].read(tmp_path), records)


def test_webdataset_opens_tars(corpus, records):
    webdataset = pytest.importorskip("webdataset")
    urls = sorted(map(str, (corpus / "webdataset").glob("*.tar")))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [key_of(record.id) for record in records]
    for sample, record in zip(samples, records, strict=True):
        assert Codes.load(io.BytesIO(sample["smtc"])) == record.codes
        assert sample["json"]["id"] == record.id
        assert sample["json"]["columns"] == record.columns


def test_lhotse_opens_shar(corpus, records):
    lhotse = pytest.importorskip("lhotse")
    cuts = list(lhotse.CutSet.from_shar(in_dir=corpus / "shar"))
    for cut, record in zip(cuts, records, strict=True):
        assert np.array_equal(cut.load_codes(), streams(record))
        assert cut.duration == record.codes.duration_s[0]
        assert (cut.num_samples, cut.sampling_rate) == (record.codes.num_samples[0], 16_000)
        assert cut.record["id"] == record.id and cut.record["columns"] == record.columns
        (supervision,) = cut.supervisions
        assert (supervision.text, supervision.speaker) == (
            "Grüße, 音",
            str(record.columns["speaker"]),
        )
        lhotse.qa.validate(cut)


def test_kaldiio_opens_arks_as_espnet_names_them(corpus, records, tmp_path, monkeypatch):
    kaldiio = pytest.importorskip("kaldiio")
    monkeypatch.chdir(tmp_path)  # paths are absolute
    data = json.loads((corpus / "kaldi" / "data.json").read_text(encoding="utf-8"))
    assert data["task"] == "audiolm" and data["num_examples"] == 4
    assert data["examples"] == [key_of(record.id) for record in records]
    (entry,), (vocabulary,) = data["data_files"], data["vocabularies"]
    path, modality, kind = entry.split(",")
    assert (modality, kind) == ("codec", "kaldi_ark")
    arrays = kaldiio.load_scp(path)
    tokens = Path(vocabulary).read_text().splitlines()
    assert len(tokens) == len(set(tokens)) == 16_384 + 8192
    assert list(arrays) == data["examples"]
    for record in records:
        array = arrays[key_of(record.id)]
        assert torch.equal(torch.from_numpy(array), record.codes.interleaved()[0].int())
        semantic, acoustic = (int(value) for value in streams(record)[:, 0])
        assert [tokens[id] for id in array[:2]] == [
            f"<semantic_{semantic}>",
            f"<acoustic_{acoustic}>",
        ]


def test_nemo_finds_codes_where_its_manifest_says(corpus, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths are absolute
    lines = (corpus / "nemo" / "manifest.json").read_text(encoding="utf-8").splitlines()
    for line, record in zip(lines, records, strict=True):
        entry = json.loads(line)
        codes = torch.load(entry["target_audio_codes_path"], weights_only=True)
        assert codes.dtype == torch.int64
        assert torch.equal(codes, record.codes.stacked()[0])
        assert entry["audio_filepath"] == record.source and entry["text"] == "Grüße, 音"
        assert entry["duration"] == record.codes.duration_s[0]


def test_numpy_and_json_open_the_plain_ones(corpus, records):
    for shard in ("00000", "00001", "00002"):
        for line in (corpus / "npy" / shard / "records.jsonl").read_text().splitlines():
            about = json.loads(line)
            (record,) = [record for record in records if record.id == about["id"]]
            codes = np.load(corpus / "npy" / shard / about["path"], allow_pickle=False)
            assert codes.dtype == np.uint16 and np.array_equal(codes, streams(record))
    files = sorted((corpus / "jsonl").glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    for row, record in zip(rows, records, strict=True):
        assert [row["semantic"], row["acoustic"]] == streams(record).tolist()


def test_read_corpus_takes_whatever_is_there(corpus, records, tmp_path):
    for name in FORMATS:
        shutil.copytree(corpus / name, tmp_path / name / name)
        assert_same(read_corpus(tmp_path / name), records)
    assert_same(read_corpus(corpus), records)
    with pytest.raises(DataError, match="is no corpus: it has none of the folders webdataset"):
        read_corpus(tmp_path / "npy" / "npy")


@pytest.mark.parametrize("name", FORMATS)
def test_writing_again_gives_the_same_bytes_and_leaves_nothing_else(name, records, tmp_path):
    shards = numbered([records[:2], records[2:3]])
    files = write(FORMATS[name], tmp_path, shards)
    before = {file: (tmp_path / file).read_bytes() for file in files}
    assert write(FORMATS[name], tmp_path, shards) == files
    assert {file: (tmp_path / file).read_bytes() for file in files} == before
    paths = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert paths == set(files)


def problem(format, folder):
    """Return what reading a corpus says; its records do not matter."""
    try:
        return "" if len(list(format.read(folder))) == 2 else "less than there was"
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_a_data_error_that_names_the_file(name, records, tmp_path):
    format = FORMATS[name]
    for file in format.write(tmp_path, "00000", records[:2]):
        if file.suffix == ".scp":  # for Kaldi's own readers
            continue
        path = tmp_path / file
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 4], whole[:-10_240], b"\xff" * len(whole)):
            path.write_bytes(damaged)
            told = problem(format, tmp_path)
            if damaged or file.suffix != ".jsonl":  # an empty list is none to complain of
                assert told.count("cannot be read") == 1, (file, told)
                assert told.startswith(str(path)) and told.endswith("same command again")
        path.write_bytes(whole)
    assert_same(format.read(tmp_path), records[:2])


def test_a_pt_file_runs_no_code(records, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    files = FORMATS["nemo"].write(tmp_path, "00000", records[:1])
    torch.save(Trap(), tmp_path / files[0])
    with pytest.raises(DataError, match=r"\.pt cannot be read"):
        list(FORMATS["nemo"].read(tmp_path))
    torch.save(torch.zeros(1, dtype=torch.int64).expand(2, 10**9), tmp_path / files[0])
    with pytest.raises(DataError, match="it holds no codes"):
        list(FORMATS["nemo"].read(tmp_path))
    assert not (tmp_path / "sprung").exists()


def test_unfinished_shards_are_not_read(records, tmp_path):
    for name, format in FORMATS.items():
        format.write(tmp_path, "00000", records[:1])
        folder = tmp_path / name
        (path,) = [path for path in folder.iterdir() if "codes." not in path.name]
        copy = folder / f".{path.name.replace('00000', '00001')}.partial"
        (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
        assert len(list(format.read(tmp_path))) == 1, name


def test_codes_that_do_not_fit_are_refused(tmp_path):
    format = TokenFormat(100, semantic_vocab_size=1 << 17, acoustic_vocab_size=8)
    record = TokenRecord(id="a", codes=random_codes(5, 0, format), source="a")
    for name in FORMATS:
        if name == "webdataset":  # .smtc has an error of its own
            continue
        with pytest.raises(CodesError, match="a vocabulary of 131072 codes"):
            FORMATS[name].write(tmp_path, "00000", [record])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_formats_by_name():
    assert formats_named(["npy", "parquet", "npy"]) == [FORMATS["npy"], FORMATS["parquet"]]
    with pytest.raises(ConfigError, match="format xml; choose from webdataset, parquet"):
        formats_named(["npy", "xml"])
    with pytest.raises(ConfigError, match="format none; choose"):
        formats_named([])
