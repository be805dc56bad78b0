"""The paper's evaluation set: 1 050 clips that its authors published as Zenodo record 11047204.

    FOLDER/downloads/    until all is there; files that have arrived are kept
    FOLDER/files/        the unpacked record, a folder for each archive
    FOLDER/suite/        its recordings as a suite of `semanticodec evaluate reconstruction`

Which of its folders holds which kind of sound is nowhere promised, and nobody of this project has
seen it: whoever has looked says which folder is which domain.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pooch

from experiments.paper.archives import is_archive, unpack
from experiments.paper.transcripts import find_transcripts
from semanticodec.errors import DataError
from semanticodec.evaluation.suites import SPEECH, TRANSCRIPTS, find_recordings
from semanticodec.files import write_text
from semanticodec.progress import ProgressBar

RECORD = "11047204"
RECORD_URL = f"https://zenodo.org/records/{RECORD}"
NUM_CLIPS = 1050
NUM_RETRIES = 2


def open_record(downloads: Path) -> pooch.Pooch:
    """Return Zenodo's record: names and checksums of its files, which are fetched to a folder."""
    record = pooch.create(
        downloads, base_url=f"doi:10.5281/zenodo.{RECORD}", retry_if_failed=NUM_RETRIES
    )
    record.load_registry_from_doi()
    return record


def fetch_record(
    folder: Path,
    *,
    show_progress: bool = False,
    open_record: Callable[[Path], pooch.Pooch] = open_record,
) -> Path:
    """Return the folder of the unpacked record, downloading it if it is not there yet.

    Args:
        folder: folder of downloads and files.
        show_progress: whether to draw a bar.
        open_record: gives the record for a folder of downloads.
    Raises:
        DataError: Zenodo cannot be reached, what it sends is damaged or unsafe to unpack, or there
            is no room for it.
    Source: paper Section IV-A.
    """
    files = folder / "files"
    if files.is_dir():
        return files
    try:
        record = open_record(folder / "downloads")
        _unpack_all(record, folder / "files.partial", show_progress)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the paper's evaluation set could not be downloaded from {RECORD_URL} ({error!r}); "
            f"check the connection and the space in {folder}, and run again: files that have "
            "arrived are kept"
        ) from error
    os.replace(folder / "files.partial", files)
    shutil.rmtree(folder / "downloads")
    return files


def _unpack_all(record: pooch.Pooch, files: Path, show_progress: bool) -> None:
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    for name in ProgressBar(
        record.registry, label=f"Zenodo {RECORD}", unit="file", shown=show_progress
    ):
        if name != Path(name).name or "\\" in name:
            raise DataError(f"{RECORD_URL} lists {name!r}, which is no plain file name")
        path = Path(record.fetch(name))
        if is_archive(path):
            unpack(path, files / name)
        else:
            shutil.copy(path, files / name)


def folders_of(files: Path) -> dict[str, int]:
    """Return how many recordings lie directly in each folder below `files`."""
    found = Counter(path.parent.relative_to(files).as_posix() for path in find_recordings(files))
    return dict(sorted(found.items()))


def write_suite(files: Path, domains: Mapping[str, str], suite: Path) -> Iterator[str]:
    """Lay out the recordings of some folders as a suite, and yield what does not fit the paper.

    Args:
        files: the unpacked record.
        domains: folders below `files` by the domains of their recordings.
        suite: folder of the suite, written anew.
    Raises:
        DataError: a folder without recordings.
    """
    placed: dict[Path, str] = {}
    for domain, folder in domains.items():
        recordings = find_recordings(files / folder) if (files / folder).is_dir() else []
        if not recordings:
            known = ", ".join(folders_of(files)) or "none"
            raise DataError(f"{files / folder} holds no recordings; folders with some are {known}")
        for path in recordings:
            placed[path] = f"{domain}/{path.relative_to(files / folder).as_posix()}"
    shutil.rmtree(suite, ignore_errors=True)
    for path, name in placed.items():
        (suite / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, suite / name)
    said = {placed[path]: text for path, text in find_transcripts(files, list(placed)).items()}
    lines = [f"{name}\ten\t{' '.join(text.split())}" for name, text in said.items()]
    write_text(suite / TRANSCRIPTS, "\n".join(["path\tlanguage\ttranscript", *lines]) + "\n")
    if len(placed) != NUM_CLIPS:
        yield f"the paper's set has {NUM_CLIPS} clips, these folders have {len(placed)}"
    silent = [name for name in placed.values() if name.startswith(SPEECH) and name not in said]
    if silent:
        yield f"{len(silent)} speech clips have no transcript, so WER leaves them out"
