"""Pairs of originals and reconstructions in folders, for other people's measuring programs.

    OUT/reference/ID.wav, OUT/SYSTEM/ID.wav     the same ids, lengths and rate everywhere
    OUT/*/wav.scp                               `ID path` per line, Kaldi's list
    OUT/reference/text                          `ID words`, where transcripts are known

VERSA, for one, takes a list or a folder for each side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from semanticodec.audio.io import save_audio
from semanticodec.errors import ConfigError, DataError, SemantiCodecError
from semanticodec.evaluation import systems
from semanticodec.evaluation.scoring import file_name, one_line, read_clip
from semanticodec.evaluation.suites import Clip, Suite
from semanticodec.files import write_text
from semanticodec.progress import ProgressBar

REFERENCE = "reference"
LIST_NAME = "wav.scp"


@dataclass
class Pairs:
    """What was written.

    Attributes:
        folders: folder of every system by its name, and the reference's.
        num_clips: clips of every system.
        failures: what went wrong, one sentence each.
    """

    folders: dict[str, str]
    num_clips: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def write_pairs(
    suite: Suite,
    specs: Sequence[str],
    out: Path,
    *,
    device: str = "cpu",
    threads: int = 1,
    overwrite: bool = False,
    show_progress: bool = False,
) -> Pairs:
    """Write the clips of a suite and what systems make of them, 16 kHz mono, 16-bit wav.

    Files that are there are kept unless they are to be overwritten, so that a second call resumes;
    the lists are written anew, and name a clip only where its file is there.

    Args:
        suite: the clips.
        specs: the systems, as `open_system` takes them.
        out: folder of the result.
        device: device of the models.
        threads: CPU threads.
        overwrite: whether to reconstruct again what is there.
        show_progress: whether to draw a bar.
    Raises:
        ConfigError: a system that does not exist, or two that share a folder.
        DataError: two clips that share an id.
        OutputError: a file cannot be written.
    """
    ids = _ids(suite)
    opened = [systems.open_system(spec, threads=threads, device=device) for spec in specs]
    folders = {system.name: file_name(system.name) for system in opened}
    if len({REFERENCE, *folders.values()}) != len(opened) + 1:
        raise ConfigError(
            f"two of the systems {', '.join(folders)} and '{REFERENCE}' share a folder; give each "
            "a name of its own with name=LABEL"
        )
    pairs = Pairs({REFERENCE: REFERENCE, **folders})
    bar = ProgressBar(total=len(suite.clips) * len(opened), unit="clip", shown=show_progress)
    with bar:
        for clip in suite.clips:
            _write_clip(clip, ids[clip.name], opened, out, pairs, overwrite=overwrite)
            bar.update(len(opened))
    for name, folder in pairs.folders.items():
        pairs.num_clips[name] = _write_list(out / folder, ids.values())
    _write_text(suite, ids, out / REFERENCE / "text")
    return pairs


def _write_clip(
    clip: Clip,
    identifier: str,
    opened: Sequence[systems.System],
    out: Path,
    pairs: Pairs,
    *,
    overwrite: bool,
) -> None:
    def target(name: str) -> Path:
        return out / pairs.folders[name] / f"{identifier}.wav"

    names = [REFERENCE, *(system.name for system in opened)]
    if not overwrite and all(target(name).is_file() for name in names):
        return
    try:
        wav = read_clip(clip)
    except SemantiCodecError as error:
        pairs.failures.append(f"{clip.name}: {one_line(error)}")
        return
    save_audio(target(REFERENCE), torch.from_numpy(wav))
    for system in opened:
        if target(system.name).is_file() and not overwrite:
            continue
        try:
            made = system.reconstruct(wav, clip)
        except SemantiCodecError as error:
            pairs.failures.append(f"{system.name}, {clip.name}: {one_line(error)}")
            target(system.name).unlink(missing_ok=True)
        else:
            save_audio(target(system.name), torch.from_numpy(made.wav))


def _ids(suite: Suite) -> dict[str, str]:
    """Return an id of every clip by its name: no folders and no spaces, as Kaldi wants it."""
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    for clip in suite.clips:
        identifier = re.sub(r"[^\w.-]+", "_", clip.name)
        if (other := owners.setdefault(identifier, clip.name)) != clip.name:
            raise DataError(
                f"the clips {other} and {clip.name} would both be called {identifier}; rename one"
            )
        ids[clip.name] = identifier
    return ids


def _write_list(folder: Path, ids: Iterable[str]) -> int:
    """Write `wav.scp` of the files that are there, in order of their ids, and return how many."""
    folder = folder.resolve()
    there = [identifier for identifier in sorted(ids) if (folder / f"{identifier}.wav").is_file()]
    lines = [f"{identifier} {folder / identifier}.wav\n" for identifier in there]
    write_text(folder / LIST_NAME, "".join(lines))
    return len(there)


def _write_text(suite: Suite, ids: dict[str, str], path: Path) -> None:
    spoken = {ids[clip.name]: clip.transcript for clip in suite.clips if clip.transcript}
    if spoken:
        lines = [f"{identifier} {' '.join(spoken[identifier].split())}\n" for identifier in spoken]
        write_text(path, "".join(sorted(lines)))
