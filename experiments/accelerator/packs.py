"""Recordings in parts that are small enough to be sent to another machine, and back again.

PACKS/manifest.json              what every part holds
PACKS/part_00/speech/audio.tar   a WebDataset shard per domain; `train --data` takes a part
PACKS/clips/speech/NAME.flac     a few recordings to measure with, sent with the first part
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semanticodec.errors import ConfigError, DataError
from semanticodec.files import atomic_path, file_digest, read_json, write_json
from semanticodec.listing import AUDIO_SUFFIXES, walk
from semanticodec.training.shards import ShardEntry
from semanticodec.training.sources import AudioEntry, domains_of, find_entries

MANIFEST = "manifest.json"
CLIPS = "clips"
SHARD = "audio.tar"
MIB = 1 << 20
# A member's header, and what a tar is filled up to.
TAR_BLOCK = 512
TAR_END = 10_240


@dataclass
class _Part:
    """Recordings of one part, and its bytes as tar files."""

    num_bytes: int = 0
    entries: dict[str, list[AudioEntry]] = field(default_factory=lambda: defaultdict(list))

    def cost(self, entry: AudioEntry) -> int:
        """Return how many bytes the part grows by with a recording."""
        own = TAR_BLOCK + -(-_num_bytes(entry) // TAR_BLOCK) * TAR_BLOCK
        return own if entry.domain in self.entries else own + TAR_END

    def add(self, entry: AudioEntry) -> None:
        """Take in a recording."""
        self.num_bytes += self.cost(entry)
        self.entries[entry.domain].append(entry)

    def seconds(self) -> dict[str, float]:
        """Return the duration of every domain."""
        return {
            domain: round(sum(entry.duration_s for entry in own), 1)
            for domain, own in sorted(self.entries.items())
        }


def pack(
    sources: Sequence[Path],
    out: Path,
    *,
    num_parts: int,
    part_bytes: int,
    clips: Path | None = None,
    clips_per_domain: int = 4,
) -> dict[str, Any]:
    """Write parts with as much of every domain as of the others, files as they are.

    Which recordings are taken depends on their names alone: the same call writes the same parts.

    Args:
        sources: training audio, as `train` takes it. Opus of 40 kbit/s is a third of FLAC.
        out: folder of the parts.
        num_parts: most parts to write.
        part_bytes: most bytes of a part, the clips counted with the first.
        clips: suite of recordings to measure with, which must not be among the sources.
        clips_per_domain: number of these to take.
    Returns:
        The manifest, which is also written.
    Raises:
        ConfigError: there are parts already, the clips leave no room, or a pattern of shards.
        DataError: no recordings.
    """
    if (out / MANIFEST).exists():
        raise ConfigError(f"{out} holds parts already; remove them or choose another --output")
    num_clip_bytes = _copy_clips(clips, out / CLIPS, clips_per_domain) if clips else 0
    if num_clip_bytes >= part_bytes:
        raise ConfigError(
            f"the clips take {num_clip_bytes / MIB:.1f} MiB, which is more than a part; allow "
            "fewer with --num-clips or larger parts with --part-mib"
        )
    entries = find_entries(tuple(sources))
    if any(isinstance(entry, ShardEntry) for entry in entries):
        raise ConfigError("a pattern of shards cannot be packed; name the .tar files one by one")
    parts = _chosen(entries, num_parts, part_bytes, num_clip_bytes)
    manifest = {
        "parts": {f"part_{n:02d}": _write(part, out / f"part_{n:02d}") for n, part in parts},
        "clip_bytes": num_clip_bytes,
    }
    write_json(out / MANIFEST, manifest)
    return manifest


def _copy_clips(suite: Path, out: Path, per_domain: int) -> int:
    taken: dict[Path, int] = defaultdict(int)
    num_bytes = 0
    for path in walk(suite, AUDIO_SUFFIXES):
        folder = path.relative_to(suite).parent
        if taken[folder] < per_domain:
            taken[folder] += 1
            (out / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / folder / path.name)
            num_bytes += path.stat().st_size
    return num_bytes


def _chosen(
    entries: list[AudioEntry], num_parts: int, part_bytes: int, first_bytes: int
) -> list[tuple[int, _Part]]:
    """Fill the parts, the domain with the least audio first."""
    part = _Part(num_bytes=first_bytes)
    parts = [part]
    for entry in _balanced(entries):
        if _Part().cost(entry) > part_bytes:
            continue
        if part.num_bytes + part.cost(entry) > part_bytes:
            if len(parts) == num_parts:
                break
            part = _Part()
            parts.append(part)
        part.add(entry)
    filled = [part for part in parts if part.entries]
    if not filled:
        raise DataError(
            f"no recording fits into a part of {part_bytes / MIB:.1f} MiB; cut the recordings or "
            "allow larger parts with --part-mib"
        )
    return list(enumerate(filled))


def _balanced(entries: list[AudioEntry]) -> Iterator[AudioEntry]:
    waiting = {
        domain: sorted((entries[row] for row in rows), key=_order, reverse=True)
        for domain, rows in domains_of(entries).items()
    }
    seconds = dict.fromkeys(waiting, 0.0)
    while any(waiting.values()):
        domain = min((name for name in waiting if waiting[name]), key=lambda name: seconds[name])
        entry = waiting[domain].pop()
        seconds[domain] += entry.duration_s
        yield entry


def _order(entry: AudioEntry) -> bytes:
    return hashlib.sha256(f"{Path(entry.path).name} {entry.offset}".encode()).digest()


def _num_bytes(entry: AudioEntry) -> int:
    return Path(entry.path).stat().st_size if entry.size is None else entry.size


def _write(part: _Part, folder: Path) -> dict[str, Any]:
    files = {}
    for domain, entries in sorted(part.entries.items()):
        target = folder / domain / SHARD
        target.parent.mkdir(parents=True)
        with atomic_path(target) as partial, tarfile.open(partial, "w:") as archive:
            for number, entry in enumerate(entries):
                with entry.open() as stream:
                    content = stream.read()
                member = tarfile.TarInfo(f"{number:05d}{_suffix(entry, content)}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        files[target.relative_to(folder).as_posix()] = {
            "bytes": target.stat().st_size,
            "digest": file_digest(target),
            "recordings": [Path(entry.path).name for entry in entries],
        }
    return {"files": files, "seconds": part.seconds()}


def _suffix(entry: AudioEntry, content: bytes) -> str:
    """Return the suffix of a file; in a shard it is told from the content."""
    if entry.size is None:
        return Path(entry.path).suffix.lower()
    return {b"OggS": ".ogg", b"fLaC": ".flac", b"RIFF": ".wav"}.get(content[:4], ".mp3")


def part_folders(packs: Path) -> list[Path]:
    """Return the parts that are there.

    Raises:
        DataError: none is.
    """
    folders = sorted(path for path in packs.glob("part_*") if path.is_dir())
    if not folders:
        raise DataError(f"{packs} holds no parts; give the folder that `pack` wrote")
    return folders


def problems(packs: Path) -> list[str]:
    """Return what of the parts is missing or damaged, one sentence each."""
    try:
        manifest = read_json(packs / MANIFEST)
        listed = {
            Path(part) / name: file["digest"]
            for part, content in manifest["parts"].items()
            for name, file in content["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{packs / MANIFEST} is missing or damaged"]
    found = []
    for path, digest in listed.items():
        if not (packs / path).is_file():
            found.append(f"{packs / path} has not arrived")
        elif file_digest(packs / path) != digest:
            found.append(f"{packs / path} is damaged")
    return found
