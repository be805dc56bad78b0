"""Answers are kept once, whole, and for the test that they belong to."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from semanticodec.errors import DataError
from semanticodec.listening.storage import AnsweredError, Storage, UnknownListenerError


@pytest.fixture
def storage(tmp_path):
    found = Storage(tmp_path / "ratings.sqlite3", "this test")
    found.join("ann")
    return found


def test_the_first_answer_counts(storage):
    storage.add("ann", 1, {"one": 10, "two": 90}, 3.0)
    storage.add("ann", 1, {"two": 90, "one": 10}, 4.0)
    with pytest.raises(AnsweredError, match="the first one counts"):
        storage.add("ann", 1, {"one": 11, "two": 90}, 3.0)
    assert storage.answered("ann") == {1}
    assert {row.condition: row.score for row in storage.scores()} == {"one": 10, "two": 90}


def test_many_at_once_leave_one_answer_each(storage):
    def send(index):
        try:
            storage.add("ann", index % 3, {"one": index, "two": index}, 1.0)
        except AnsweredError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(24))) == 3
    assert len(storage.scores()) == 6


def test_half_an_answer_is_none(storage):
    with pytest.raises(sqlite3.IntegrityError):
        storage.add("ann", 1, {"one": 10, "two": 101}, 3.0)
    assert storage.answered("ann") == set()
    assert storage.scores() == []


def test_an_answer_outlives_a_process_that_is_killed(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from semanticodec.listening.storage import Storage;"
        "storage = Storage(Path(sys.argv[1]), 'test'); storage.join('ann');"
        "storage.add('ann', 0, {'one': 7}, 1.0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "ratings.sqlite3"
    finished = subprocess.run([sys.executable, "-c", program, str(path)], env=os.environ)
    assert finished.returncode == -signal.SIGKILL
    assert [row.score for row in Storage(path, "test").scores()] == [7]


def test_strangers_are_refused(storage):
    with pytest.raises(UnknownListenerError):
        storage.answered("bob")
    with pytest.raises(sqlite3.IntegrityError):
        storage.add("bob", 0, {"one": 1}, 1.0)


def test_ratings_belong_to_one_test(storage, tmp_path):
    with pytest.raises(DataError, match="ratings of another test"):
        Storage(tmp_path / "ratings.sqlite3", "another")
    (tmp_path / "text").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(DataError, match="cannot be used"):
        Storage(tmp_path / "text", "this test")
