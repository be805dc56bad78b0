"""`dataset.json` finds every changed byte, and `info` counts what is there."""

import json
import math

import numpy as np
import pytest
import torch

from corpus_records import FORMAT, random_codes, random_record
from semanticodec.cli import main
from semanticodec.corpus import TokenRecord
from semanticodec.corpus.description import (
    DESCRIPTION_NAME,
    read_description,
    verify,
    write_description,
)
from semanticodec.corpus.formats import formats_named
from semanticodec.errors import DataError
from semanticodec.files import file_digest

NAMES = ["kaldi", "npy", "webdataset"]


def write_corpus(folder, shards, names=NAMES):
    """Write shards in some formats, and what describes them."""
    formats = formats_named(names)
    lines = []
    for number, records in enumerate(shards):
        shard = f"{number:05d}"
        files = [file for format in formats for file in format.write(folder, shard, records)]
        lines.append(
            {
                "shard": shard,
                "ids": [record.id for record in records],
                "num_samples": sum(record.codes.num_samples[0] for record in records),
                "files": {file.as_posix(): file_digest(folder / file) for file in files},
            }
        )
    write_description(
        folder,
        model="tiny",
        fingerprint=b"tinytiny",
        format=FORMAT,
        formats=names,
        settings={"sources": ["a"]},
        shards=reversed(lines),
        joined=[file for format in formats for file in format.finish(folder)],
    )


@pytest.fixture
def corpus(tmp_path):
    """A corpus of two shards and three records."""
    records = [random_record(name, 16_000 * 8, seed) for seed, name in enumerate("abc")]
    write_corpus(tmp_path, [records[:2], records[2:]])
    return tmp_path


def test_the_description_says_what_the_corpus_is(corpus):
    about = read_description(corpus)
    assert (about["model"], about["fingerprint"]) == ("tiny", b"tinytiny".hex())
    assert (about["token_rate"], about["semantic_vocab_size"]) == (100, 16_384)
    assert about["settings"] == {"sources": ["a"]} and about["formats"] == NAMES
    assert (about["num_recordings"], about["hours"]) == (3, round(24 / 3600, 6))
    assert [shard["shard"] for shard in about["shards"]] == ["00000", "00001"]
    assert [shard["num_recordings"] for shard in about["shards"]] == [2, 1]
    assert "torch" in about["versions"]


def test_every_changed_missing_and_added_file_is_found(corpus):
    assert verify(corpus) == []
    files = [path for path in corpus.rglob("*") if path.is_file()]
    assert len(files) == 2 * (3 + 1 + 1) + 3 + 3 + 1
    for path in files:
        if path.name == DESCRIPTION_NAME:
            continue
        name = path.relative_to(corpus).as_posix()
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert verify(corpus) == [f"{name} has changed"]
        path.unlink()
        assert verify(corpus) == [f"{name} is missing"]
        path.write_bytes(data)
        added = path.with_name(f"more-{path.name}")
        added.write_bytes(data)
        assert verify(corpus) == [f"{added.relative_to(corpus).as_posix()} belongs to no shard"]
        added.unlink()
    assert verify(corpus) == []


def test_a_description_that_cannot_be_used_is_refused(corpus, tmp_path):
    path = corpus / DESCRIPTION_NAME
    about = json.loads(path.read_text())
    for changed, text in (
        ({**about, "format": 2}, "has format 2, this version reads 1"),
        ({**about, "shards": [{}]}, "is damaged"),
        ({**about, "joined": {"a": 1}}, "the checksum of a is 1"),
        ({**about, "semantic_vocab_size": "many"}, "semantic_vocab_size is 'many'"),
        ({"format": 1}, "KeyError"),
        ([], "is damaged"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(DataError, match=text):
            verify(corpus)
    path.unlink()
    with pytest.raises(DataError, match="is missing: no corpus, or an unfinished one; run"):
        verify(corpus)


def told(capfd, folder, *options):
    """Return status, output and error text of `info`."""
    capfd.readouterr()
    status = main(["info", str(folder), *options])
    return status, *capfd.readouterr()


def test_info_counts_hours_tokens_and_codes(tmp_path, capfd):
    codes = random_codes(16_000 * 8)
    codes.semantic.copy_(torch.arange(codes.semantic.shape[1]) % 4)
    codes.acoustic.zero_()
    record = TokenRecord(id="a", codes=codes, source="a")
    write_corpus(tmp_path, [[record]], ["jsonl"])
    status, out, _ = told(capfd, tmp_path, "--json")
    facts = json.loads(out)
    assert (status, facts["status"], facts["corpus"]) == (0, "done", str(tmp_path))
    assert (facts["recordings"], facts["shards"], facts["formats"]) == (1, 1, ["jsonl"])
    assert facts["tokens"] == 2 * codes.semantic.shape[1] == 800
    assert facts["hours"] == round(8 / 3600, 6)
    assert (facts["semantic_codes_used"], facts["semantic_entropy_bits"]) == (4, 2.0)
    assert (facts["acoustic_codes_used"], facts["acoustic_entropy_bits"]) == (1, 0.0)
    assert (facts["semantic_vocab_size"], facts["acoustic_vocab_size"]) == FORMAT.vocab_sizes
    text = told(capfd, tmp_path)[1]
    assert text.startswith(f"{tmp_path}\n") and "  semantic codes used    4\n" in text


def test_entropy_is_that_of_the_counts(corpus, capfd):
    facts = json.loads(told(capfd, corpus, "--json")[1])
    codes = [random_codes(16_000 * 8, seed).acoustic.numpy() for seed in range(3)]
    _, counts = np.unique(codes, return_counts=True)
    expected = -sum(count / 1200 * math.log2(count / 1200) for count in counts)
    assert facts["acoustic_entropy_bits"] == pytest.approx(expected, abs=1e-4)
    assert facts["acoustic_codes_used"] == len(counts)


def test_info_refuses_a_corpus_that_is_not_what_it_says(corpus, capfd):
    (corpus / "webdataset" / "00001.tar").unlink()
    status, out, err = told(capfd, corpus, "--json")
    assert status == 2 and json.loads(out)["status"] == "failed"
    assert "holds 2 recordings of 256000 samples, its dataset.json names 3 of 384000" in err
    write_corpus(corpus, [[random_record("a")]], ["webdataset"])
    about = json.loads((corpus / DESCRIPTION_NAME).read_text())
    (corpus / DESCRIPTION_NAME).write_text(json.dumps({**about, "acoustic_vocab_size": 2}))
    assert "has codes of another model" in told(capfd, corpus)[2]
