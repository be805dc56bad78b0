"""The paper's evaluation set: 1 050 clips that its authors published as Zenodo record 11047204.

The record is downloaded once into the user's cache folder, checked against Zenodo's checksums and
unpacked:

    CACHE/semanticodec/zenodo-11047204/downloads/     until all is there; a stopped one goes on
    CACHE/semanticodec/zenodo-11047204/files/         the unpacked record

How the record orders its files is not promised, so domains are recognised by the words in folder
names (`DOMAIN_WORDS`) and transcripts in the forms that LibriTTS and its kin use (`transcripts`);
whatever does not fit is named in the suite's problems.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any

from semanticodec.errors import DataError
from semanticodec.evaluation.archives import is_archive, unpack
from semanticodec.evaluation.suites import PAPER_SUITE, SPEECH, Clip, Suite, find_recordings
from semanticodec.evaluation.transcripts import find_transcripts

RECORD = "11047204"
RECORD_URL = f"https://zenodo.org/records/{RECORD}"
API_URL = f"https://zenodo.org/api/records/{RECORD}"
NUM_CLIPS = 1050
TIMEOUT_S = 60
BLOCK_BYTES = 1 << 20
MAX_DESCRIPTION_BYTES = 10 << 20
PARTIAL_CONTENT = 206

# The first list in which a word is found decides; "audio" alone says little.
DOMAIN_WORDS = (
    {
        SPEECH: ("speech", "libritts"),
        "music": ("music", "musdb"),
        "general": ("general", "audioset"),
    },
    {"general": ("sound", "audio")},
)

OpenUrl = Callable[[urllib.request.Request], Any]


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of a Zenodo record: its plain name, where it is, and what it must be."""

    name: str
    url: str
    num_bytes: int
    md5: str


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never away from https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # noqa: ANN001
        """Return the next request."""
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(request: urllib.request.Request) -> Any:
    """Return the response to a request; https only, redirections included."""
    _check_https(request.full_url)
    return urllib.request.build_opener(_HttpsOnly).open(request, timeout=TIMEOUT_S)


def cache_folder() -> Path:
    """Return where downloads are kept: below $XDG_CACHE_HOME, or `.cache` of the user's home."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "semanticodec"


def paper_suite(
    *, cache: Path | None = None, show_progress: bool = False, open_url: OpenUrl = open_url
) -> Suite:
    """Return the paper's evaluation set, downloading it if it is not there yet.

    Args:
        cache: where downloads are kept; default `cache_folder()`.
        show_progress: whether the download draws a bar.
        open_url: answers requests.
    Raises:
        DataError: Zenodo cannot be reached, what it sends is damaged or unsafe to unpack, or there
            is no room for it.
    Source: paper Section IV-A.
    """
    folder = (cache or cache_folder()) / f"zenodo-{RECORD}"
    files = folder / "files"
    if not files.is_dir():
        try:
            _fetch(folder, files, show_progress, open_url)
        except (OSError, HTTPException) as error:
            raise DataError(
                f"the paper's evaluation set could not be downloaded from {RECORD_URL} "
                f"({error}); check the connection and the space in {folder}, and run again: it "
                "goes on where it stopped"
            ) from error
    return _as_suite(files)


def _fetch(folder: Path, files: Path, show_progress: bool, open_url: OpenUrl) -> None:
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    remote = _read_record(open_url)
    with _progress(sum(file.num_bytes for file in remote), show_progress) as bar:
        for file in remote:
            _download(file, downloads / file.name, open_url, bar.update)
    partial = folder / "files.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in remote:
        path = downloads / file.name
        if is_archive(path):
            # A folder of its own for each archive: its name may be all that tells the domain.
            unpack(path, partial / file.name)
        else:
            os.replace(path, partial / file.name)
    os.replace(partial, files)
    shutil.rmtree(downloads)


def _progress(total: int, show_progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=total, desc=f"Zenodo {RECORD}", unit="B", unit_scale=True, disable=not show_progress
    )


def _read_record(open_url: OpenUrl) -> list[RemoteFile]:
    with open_url(urllib.request.Request(API_URL)) as response:
        text = response.read(MAX_DESCRIPTION_BYTES)
    try:
        return [_remote_file(entry) for entry in json.loads(text)["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{API_URL} does not list files as expected ({error!r}); download the record by hand "
            f"from {RECORD_URL} and give its folder as the suite"
        ) from error


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    name, url = str(entry["key"]), str(entry["links"]["self"])
    kind, _, md5 = str(entry["checksum"]).partition(":")
    if name != Path(name).name or "\\" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no plain file name")
    if kind != "md5":
        raise ValueError(f"{name} has a checksum of the unknown kind {kind!r}")
    _check_https(url)
    return RemoteFile(name=name, url=url, num_bytes=int(entry["size"]), md5=md5)


def _check_https(url: str) -> None:
    if not url.startswith("https://"):
        raise DataError(f"{url} is not an https address; nothing was downloaded from it")


def _download(
    file: RemoteFile, target: Path, open_url: OpenUrl, count: Callable[[int], object]
) -> None:
    """Bring `target` to completeness, going on after the bytes that an earlier try left."""
    if target.is_file():
        count(file.num_bytes)
        return
    partial = target.with_name(f"{target.name}.partial")
    partial.touch()
    there = partial.stat().st_size
    if there == file.num_bytes:
        count(there)
    else:
        request = urllib.request.Request(file.url, headers=_rest(file, there))
        with open_url(request) as response:
            is_rest = response.status == PARTIAL_CONTENT
            count(there if is_rest else 0)
            with partial.open("ab" if is_rest else "wb") as stream:
                _copy(response, stream, file, there if is_rest else 0, count)
    if _md5(partial) != file.md5:
        partial.unlink()
        raise DataError(
            f"{file.name} of {RECORD_URL} arrived damaged (its MD5 is not {file.md5}) and was "
            "removed; run again"
        )
    os.replace(partial, target)


def _rest(file: RemoteFile, there: int) -> dict[str, str]:
    return {"Range": f"bytes={there}-"} if 0 < there < file.num_bytes else {}


def _copy(
    response: Any, stream: Any, file: RemoteFile, there: int, count: Callable[[int], object]
) -> None:
    while block := response.read(BLOCK_BYTES):
        there += len(block)
        if there > file.num_bytes:
            raise DataError(f"{file.url} sends more than the {file.num_bytes} bytes it announced")
        stream.write(block)
        count(len(block))
    if there < file.num_bytes:
        raise OSError(f"{file.name} broke off after {there} of {file.num_bytes} bytes")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def domain_of(relative: PurePosixPath) -> str | None:
    """Return the domain that a recording's path tells, or None.

    The innermost folder counts most and the file's own name least; one with words of two domains
    tells nothing.
    """
    names_in_order = (*reversed(relative.parent.parts), relative.name)
    for words in DOMAIN_WORDS:
        for part in names_in_order:
            found = {
                domain
                for domain, names in words.items()
                if any(name in part.lower() for name in names)
            }
            if len(found) == 1:
                return found.pop()
    return None


def _as_suite(files: Path) -> Suite:
    """Return the recordings of the unpacked record as clips."""
    placed: dict[Path, str] = {}
    homeless = []
    for path in find_recordings(files):
        relative = PurePosixPath(path.relative_to(files).as_posix())
        domain = domain_of(relative)
        if domain is None:
            homeless.append(str(relative))
        else:
            placed[path] = domain
    speech = [path for path, domain in placed.items() if domain == SPEECH]
    transcripts = find_transcripts(files, speech)
    clips = sorted(_clips(files, placed, transcripts), key=lambda clip: clip.name)
    problems = tuple(_problems(clips, homeless))
    if not clips:
        raise DataError(
            f"{files} holds no recordings of speech, music or general sound that could be "
            "recognised; remove the folder and run again"
        )
    return Suite(name=PAPER_SUITE, clips=tuple(clips), problems=problems)


def _clips(files: Path, placed: dict[Path, str], transcripts: dict[Path, str]) -> Iterator[Clip]:
    names: dict[str, int] = {}
    for path, domain in placed.items():
        short = f"{domain}/{path.stem}"
        names[short] = names.get(short, 0) + 1
    for path, domain in placed.items():
        name = f"{domain}/{path.stem}"
        if names[name] > 1:  # such as mixture.wav of every song
            name = f"{domain}/{path.relative_to(files).with_suffix('').as_posix()}"
        transcript = transcripts.get(path)
        language = None if transcript is None else "en"
        yield Clip(name=name, domain=domain, path=path, transcript=transcript, language=language)


def _problems(clips: list[Clip], homeless: Iterable[str]) -> Iterator[str]:
    if len(clips) != NUM_CLIPS:
        yield f"the paper's set has {NUM_CLIPS} clips, {RECORD_URL} gave {len(clips)}"
    for name in homeless:
        yield f"{name} is left out: no folder name tells its domain"
    silent = sum(clip.domain == SPEECH and clip.transcript is None for clip in clips)
    if silent:
        yield f"{silent} speech clips have no transcript, so WER leaves them out"
