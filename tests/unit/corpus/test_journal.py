"""The journal: what stands in it is finished, whatever happened while it was written."""

import json

import pytest

from semanticodec.corpus.journal import (
    ERRORS_NAME,
    SHARDS_NAME,
    CorpusJournal,
    Failure,
    ShardDone,
    remove_unfinished,
)
from semanticodec.errors import ConfigError


def done(shard, *ids, failed=()):
    failures = [Failure(id=name, source=f"{name}.wav", reason="r") for name in failed]
    files = {f"jsonl/{shard}.jsonl": "0" * 64}
    return ShardDone(shard=shard, ids=ids, num_samples=9, files=files, failures=failures)


def test_lines_come_back(tmp_path):
    journal = CorpusJournal(tmp_path)
    journal.append(done("00001", "a", "b"))
    journal.append(done("00000", failed=["c"]))
    assert [line["shard"] for line in CorpusJournal(tmp_path).shards()] == ["00001", "00000"]
    first = next(CorpusJournal(tmp_path).shards())
    files = {"jsonl/00001.jsonl": "0" * 64}
    assert first == {"shard": "00001", "ids": ["a", "b"], "num_samples": 9, "files": files}
    assert [line["id"] for line in journal.failures()] == ["c"]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_cut_off_is_no_line(tmp_path, cut):
    journal = CorpusJournal(tmp_path)
    journal.append(done("00000", "a"))
    journal.append(done("00001", "b"))
    path = tmp_path / SHARDS_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    journal = CorpusJournal(tmp_path)
    journal.append(done("00002", "c"))
    assert [line["shard"] for line in journal.shards()] == ["00000", "00002"]


def test_errors_count_with_their_shard_alone(tmp_path):
    journal = CorpusJournal(tmp_path)
    journal.append(done("00000", "a", failed=["x", "y"]))
    # Killed between the two files: the shard is made again.
    with (tmp_path / ERRORS_NAME).open("a") as file:
        file.write(json.dumps({"shard": "00001", "id": "z", "source": "z", "reason": "r"}) + "\n")
    assert [line["id"] for line in journal.failures()] == ["x", "y"]
    journal.append(done("00002", "x"))
    assert [line["id"] for line in journal.tidy()] == ["y"]
    assert (tmp_path / ERRORS_NAME).read_text().count("\n") == 1


def test_what_no_line_names_is_removed_from_formats_alone(tmp_path):
    for name in ("jsonl/0.jsonl", "jsonl/.x.partial", "npy/1/a.npy", "own/notes.txt", "mine.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, ["jsonl", "npy"], ["jsonl/0.jsonl"])
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"jsonl/0.jsonl", "own/notes.txt", "mine.txt"}


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / SHARDS_NAME).write_text('{"shard": "0", "ids": [], "files": {}}\n}{\n')
    with pytest.raises(ConfigError, match=r"shards.jsonl, line 2 is damaged"):
        list(CorpusJournal(tmp_path).shards())
