"""Answers of listeners in SQLite: on disk before anybody is told so, once each.

One connection per call: requests come on several threads, and a killed server loses nothing that
it has confirmed. Write-ahead logging lets an analysis read while a test runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from semanticodec.errors import DataError, SemantiCodecError

RATINGS_NAME = "ratings.sqlite3"
WAIT_S = 30.0
# A score is 0 to 100; in ABX it is 1 where the listener was right about X, else 0.
SCHEMA = """
CREATE TABLE IF NOT EXISTS test (fingerprint TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS listeners (
    listener TEXT PRIMARY KEY,
    is_simulated INTEGER NOT NULL,
    started TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS answers (
    listener TEXT NOT NULL REFERENCES listeners,
    page INTEGER NOT NULL,
    elapsed_s REAL NOT NULL,
    answered TEXT NOT NULL,
    PRIMARY KEY (listener, page)
);
CREATE TABLE IF NOT EXISTS scores (
    listener TEXT NOT NULL,
    page INTEGER NOT NULL,
    condition TEXT NOT NULL,
    score INTEGER NOT NULL CHECK (score BETWEEN 0 AND 100),
    PRIMARY KEY (listener, page, condition),
    FOREIGN KEY (listener, page) REFERENCES answers
);
"""


class UnknownListenerError(SemantiCodecError, LookupError):
    """A token that no listener of this test has."""


class AnsweredError(SemantiCodecError, ValueError):
    """Another answer to a page that is answered already; the first one counts."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a listener said of one condition on one page.

    Attributes:
        listener: token.
        page: index into the plan's pages.
        condition: name.
        score: 0 to 100; in ABX 1 for right and 0 for wrong.
    """

    listener: str
    page: int
    condition: str
    score: int


class Storage:
    """The answers of one test.

    Args:
        path: the database, made if missing.
        fingerprint: that of the plan.
    Raises:
        DataError: the database belongs to another test, or is none.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        try:
            with self._transaction() as database:
                database.executescript(SCHEMA)
                database.execute(
                    "INSERT INTO test SELECT ? WHERE NOT EXISTS (SELECT * FROM test)",
                    (fingerprint,),
                )
                (recorded,) = database.execute("SELECT fingerprint FROM test").fetchone()
        except sqlite3.DatabaseError as error:
            raise DataError(f"{path} cannot be used ({error}); move it away") from error
        if recorded != fingerprint:
            raise DataError(
                f"{path} holds ratings of another test; move it away, or serve the test that it "
                "belongs to"
            )

    def join(self, listener: str, *, is_simulated: bool = False) -> None:
        """Add a listener; one who is there already is left as is."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO listeners VALUES (?, ?, ?)",
                (listener, is_simulated, _now()),
            )

    def add(self, listener: str, page: int, scores: Mapping[str, int], elapsed_s: float) -> None:
        """Keep an answer, on disk before this returns; the same one again changes nothing.

        Args:
            listener: token of somebody who joined.
            page: index into the plan's pages.
            scores: 0 to 100 by condition.
            elapsed_s: time that the listener spent on the page, in seconds.
        Raises:
            AnsweredError: the page has another answer already.
        """
        with self._transaction() as database:
            new = database.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
                (listener, page, elapsed_s, _now()),
            ).rowcount
            if new:
                rows = [(listener, page, name, score) for name, score in scores.items()]
                database.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)
                return
            found = database.execute(
                "SELECT condition, score FROM scores WHERE listener = ? AND page = ?",
                (listener, page),
            ).fetchall()
        if dict(found) != dict(scores):
            raise AnsweredError("this page has another answer already; the first one counts")

    def answered(self, listener: str) -> set[int]:
        """Return the pages that a listener has answered.

        Raises:
            UnknownListenerError: nobody joined with this token.
        """
        with self._transaction() as database:
            query = "SELECT 1 FROM listeners WHERE listener = ?"
            if database.execute(query, (listener,)).fetchone() is None:
                raise UnknownListenerError(
                    "this test knows no such listener; open its first page to begin"
                )
            query = "SELECT page FROM answers WHERE listener = ?"
            return {page for (page,) in database.execute(query, (listener,))}

    def listeners(self) -> dict[str, bool]:
        """Return whether each listener is simulated, in the order in which they joined."""
        with self._transaction() as database:
            query = "SELECT listener, is_simulated FROM listeners ORDER BY rowid"
            return {listener: bool(flag) for listener, flag in database.execute(query)}

    def scores(self) -> list[Score]:
        """Return everything that listeners said."""
        with self._transaction() as database:
            query = "SELECT listener, page, condition, score FROM scores ORDER BY rowid"
            return [
                Score(listener=listener, page=page, condition=condition, score=score)
                for listener, page, condition, score in database.execute(query)
            ]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; what the block wrote is on disk when it ends, or undone."""
        with closing(sqlite3.connect(self._path, timeout=WAIT_S)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
            with database:
                yield database


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
