"""Evaluation suites: folders of recordings by domain, with transcripts where there are any.

    SUITE/speech/1688-142285-0002.flac      the first folder is the domain
    SUITE/music/gm_d_dm01.flac
    SUITE/transcripts.tsv                   path, transcript and, if known, speaker and language

A folder without sub-folders is a suite of the single domain `all`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from semanticodec.errors import DataError
from semanticodec.listing import AUDIO_SUFFIXES, walk

TRANSCRIPTS = "transcripts.tsv"
NO_DOMAIN = "all"
SPEECH = "speech"
PAPER_SUITE = "paper"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording of a suite.

    Attributes:
        name: its path below the suite without suffix, with `/` between folders.
        domain: the first folder of the name, such as `speech`; `all` where there are no folders.
        path: the sound file.
        transcript: what is said in it.
        language: of the transcript, such as `en`.
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
        name: what reports call it.
        clips: the recordings.
        problems: what does not fit together, one sentence each; reports list them.
    """

    name: str
    clips: tuple[Clip, ...]
    problems: tuple[str, ...] = ()

    @property
    def domains(self) -> dict[str, int]:
        """How many clips each domain has, in alphabetical order."""
        return dict(sorted(Counter(clip.domain for clip in self.clips).items()))


def open_suite(spec: str | Path, *, limit: int | None = None, show_progress: bool = False) -> Suite:
    """Return the recordings of a folder, or of the paper's evaluation set.

    Args:
        spec: a folder, or `paper` for the 1 050 clips that the paper's authors published, which
            are downloaded once (a folder of that name is `./paper`).
        limit: take the first clips of each domain only, in order of their names.
        show_progress: whether a download draws a bar.
    Raises:
        DataError: no such folder, no sound files in it, a transcript table that cannot be read,
            or a download that failed.
    """
    if spec == PAPER_SUITE:
        from semanticodec.evaluation.zenodo import paper_suite

        suite = paper_suite(show_progress=show_progress)
    else:
        suite = _folder_suite(Path(spec))
    if limit is None:
        return suite
    return Suite(name=suite.name, clips=_first(suite.clips, limit), problems=suite.problems)


def find_recordings(folder: Path) -> list[Path]:
    """Return the sound files below a folder, ordered by name, hidden ones left out."""
    return sorted(walk(folder, AUDIO_SUFFIXES))


def _first(clips: Sequence[Clip], limit: int) -> tuple[Clip, ...]:
    taken: Counter[str] = Counter()
    chosen = []
    for clip in clips:
        taken[clip.domain] += 1
        if taken[clip.domain] <= limit:
            chosen.append(clip)
    return tuple(chosen)


def _folder_suite(folder: Path) -> Suite:
    if not folder.is_dir():
        raise DataError(
            f"the suite {folder} is no folder; give one with recordings (in a sub-folder for "
            f"each domain), or the name '{PAPER_SUITE}'"
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
            domain=relative.parts[0] if len(relative.parts) > 1 else NO_DOMAIN,
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
    ordered = tuple(sorted(clips.values(), key=lambda clip: clip.name))
    return Suite(name=folder.resolve().name, clips=ordered, problems=tuple(problems))


def _read_transcripts(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the rows by the path that they name, and what is wrong with them."""
    if not path.is_file():
        return {}, []
    rows: dict[str, dict[str, str]] = {}
    problems = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = table.fieldnames or []
            if not {"path", "transcript"} <= set(columns):
                raise DataError(
                    f"{path} has the columns {', '.join(columns) or '(none)'}; it needs a first "
                    "line with `path` and `transcript`, separated by tabs"
                )
            for row in table:
                name = PurePosixPath(row["path"] or "").as_posix()
                if name in rows:
                    problems.append(f"{TRANSCRIPTS} names {name} twice; the first row counts")
                rows.setdefault(name, {key: value or "" for key, value in row.items() if key})
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is not a table in UTF-8 ({error}); write path, transcript and, if known, "
            "speaker and language, separated by tabs"
        ) from error
    return rows, problems
