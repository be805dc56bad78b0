"""Evaluation suites: folders of recordings by domain, with transcripts where there are any.

    SUITE/speech/1688-142285-0002.flac      the first folder is the domain
    SUITE/music/gm_d_dm01.flac
    SUITE/transcripts.tsv                   path, transcript and, if known, speaker and language

A folder without sub-folders is a suite of the single domain `all`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from semanticodec.errors import DataError
from semanticodec.listing import AUDIO_SUFFIXES, walk

TRANSCRIPTS = "transcripts.tsv"
ALL = "all"
SPEECH = "speech"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording of a suite.

    Attributes:
        name: its path below the suite without suffix, with `/` between folders.
        domain: kind of sound, such as `speech`.
        path: the sound file.
        transcript: words that are said in it.
        language: language of the transcript, such as `en`.
    """

    name: str
    domain: str
    path: Path
    transcript: str | None = None
    language: str | None = None

    @property
    def is_speech(self) -> bool:
        """Whether measures of speech mean something: a speech domain, or words that are known."""
        is_domain = self.domain == SPEECH or self.domain.startswith(f"{SPEECH}_")
        return is_domain or self.transcript is not None


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Recordings to evaluate on, ordered by name.

    Attributes:
        name: name in reports.
        clips: the recordings.
        problems: contradictions in the suite, one sentence each; reports list them.
    """

    name: str
    clips: tuple[Clip, ...]
    problems: tuple[str, ...] = ()

    @property
    def domains(self) -> dict[str, int]:
        """Number of clips of each domain, in alphabetical order."""
        return dict(sorted(Counter(clip.domain for clip in self.clips).items()))


def find_recordings(folder: Path) -> list[Path]:
    """Return the sound files below a folder, ordered by name, hidden ones left out."""
    return sorted(walk(folder, AUDIO_SUFFIXES))


def open_suite(folder: str | Path, *, limit: int | None = None) -> Suite:
    """Return the recordings of a folder.

    Args:
        folder: the suite.
        limit: take the first clips of each domain only, in order of their names.
    Raises:
        DataError: no such folder, no sound files in it, or a transcript table that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(
            f"the suite {folder} is no folder; give one with recordings (in a sub-folder for "
            "each domain)"
        )
    rows, problems = _read_transcripts(folder / TRANSCRIPTS)
    clips: dict[str, Clip] = {}
    for path in find_recordings(folder):
        relative = PurePosixPath(path.relative_to(folder).as_posix())
        name = str(relative.with_suffix(""))
        if name in clips:
            problems.append(
                f"{relative} is left out: {clips[name].path.name} has the same name without suffix"
            )
            continue
        row = rows.pop(str(relative), {})
        clips[name] = Clip(
            name=name,
            domain=relative.parts[0] if len(relative.parts) > 1 else ALL,
            path=path,
            transcript=row.get("transcript") or None,
            language=row.get("language") or None,
        )
    if not clips:
        raise DataError(
            f"the suite {folder} holds no recordings; give a folder with "
            f"{', '.join(AUDIO_SUFFIXES)} files"
        )
    problems += [f"{TRANSCRIPTS} names {path}, which is not there" for path in rows]
    ordered = sorted(clips.values(), key=lambda clip: clip.name)
    kept = tuple(ordered if limit is None else _first(ordered, limit))
    return Suite(name=folder.resolve().name, clips=kept, problems=tuple(problems))


def _first(clips: Iterable[Clip], limit: int) -> Iterator[Clip]:
    taken: Counter[str] = Counter()
    for clip in clips:
        taken[clip.domain] += 1
        if taken[clip.domain] <= limit:
            yield clip


def _read_transcripts(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the rows by the path that they name, and what is wrong with them."""
    if not path.is_file():
        return {}, []
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE
        ).fillna("")
    except ValueError as error:  # of pandas' parser or of the decoding
        raise DataError(
            f"{path} is not a table in UTF-8 ({error}); write path, transcript and, if known, "
            "speaker and language, separated by tabs"
        ) from error
    if not {"path", "transcript"} <= set(table.columns):
        raise DataError(
            f"{path} has the columns {', '.join(table.columns) or '(none)'}; it needs a first "
            "line with `path` and `transcript`, separated by tabs"
        )
    table["path"] = [PurePosixPath(name).as_posix() for name in table["path"]]
    twice = table.loc[table["path"].duplicated(), "path"].unique()
    problems = [f"{TRANSCRIPTS} names {name} twice; the first row counts" for name in twice]
    rows = table.drop_duplicates("path").to_dict("records")
    return {row["path"]: row for row in rows}, problems
