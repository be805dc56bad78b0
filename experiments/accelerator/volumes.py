"""What is brought back: one tar of the results, cut into slices, some of which make a volume.

    OUT/results.tar.000, .001, ...      cat results.tar.* | tar x

What matters most comes first: reports and curves, then AudioMAE and the other modules. A tar that
ends early still gives back what came before its end.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.accelerator.journal import NAME as JOURNAL
from experiments.accelerator.results import model_folder
from semanticodec.errors import ConfigError
from semanticodec.files import write_bytes

SLICE = "results.tar"
BLOCK = 1 << 20
REPORTS = (JOURNAL, "evaluation/*.md", "evaluation/*.json", "evaluation/*.csv", "*/scalars.jsonl")
SAMPLES = ("samples/*",)
# The model's files in the order of what could not be made again on a small machine.
MODEL = ("*.json", "audiomae*", "semantic*", "acoustic*", "decoder*", "*")
# Where there is no model yet: the modules.
MODULES = ("audiomae/export/*", "codebook_*/export/*", "vae/export/*", "vocoder/export/*")


class Volume(NamedTuple):
    """A volume that was written.

    Attributes:
        number: its own.
        count: of how many.
        files: the slices.
    """

    number: int
    count: int
    files: list[Path]


def results_of(run: Path) -> list[Path]:
    """Return the files that are brought back, the most important first.

    Raises:
        ConfigError: the folder is no run of the plan.
    """
    if not (run / JOURNAL).is_file():
        raise ConfigError(f"{run} holds no {JOURNAL}; give the --output of `run`")
    model = model_folder(run)
    patterns = [(run, REPORTS), (run, SAMPLES), (run, MODULES)]
    if model is not None:
        patterns[-1] = (model, MODEL)
    found = [
        path
        for folder, names in patterns
        for name in names
        for path in sorted(folder.glob(name))
        if path.is_file()
    ]
    return list(dict.fromkeys(found))


def write_volume(
    run: Path, out: Path, *, number: int, volume_bytes: int, slice_bytes: int
) -> Volume:
    """Write one volume; returns which one of how many.

    Args:
        run: folder of the run.
        out: folder of the slices.
        number: volume to write, from 0.
        volume_bytes: most bytes of a volume.
        slice_bytes: most bytes of a file.
    Raises:
        ConfigError: there is no such volume, or no room for a slice.
    """
    slices_per_volume = volume_bytes // slice_bytes
    if slices_per_volume < 1:
        raise ConfigError("a volume has no room for a slice; allow smaller slices or more MiB")
    files = results_of(run)
    num_slices = -(-_tar_bytes(files, run) // slice_bytes)
    count = -(-num_slices // slices_per_volume)
    if not 0 <= number < count:
        raise ConfigError(f"there is no volume {number}; choose one of 0 to {count - 1}")
    first = number * slices_per_volume
    wanted = range(first, min(first + slices_per_volume, num_slices))
    written = []
    for index, content in enumerate(_slices(_tar(files, run), slice_bytes)):
        if index in wanted:
            path = out / f"{SLICE}.{index:03d}"
            write_bytes(path, content)
            written.append(path)
    assert sum(path.stat().st_size for path in written) <= volume_bytes
    return Volume(number, count, written)


def _tar(files: list[Path], run: Path) -> Iterator[bytes]:
    """Yield a tar of the files, block by block."""
    for path in files:
        yield _header(path, run)
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK):
                yield block
        yield bytes(-path.stat().st_size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _tar_bytes(files: list[Path], run: Path) -> int:
    """Return the length of that tar."""
    headers = sum(len(_header(path, run)) for path in files)
    contents = sum(-(-path.stat().st_size // tarfile.BLOCKSIZE) for path in files)
    return headers + (contents + 2) * tarfile.BLOCKSIZE


def _header(path: Path, run: Path) -> bytes:
    member = tarfile.TarInfo(path.relative_to(run).as_posix())
    member.size = path.stat().st_size
    return member.tobuf()


def _slices(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    buffer = io.BytesIO()
    for block in blocks:
        buffer.write(block)
        while buffer.tell() >= size:
            content = buffer.getvalue()
            yield content[:size]
            buffer = io.BytesIO()
            buffer.write(content[size:])
    if buffer.tell():
        yield buffer.getvalue()
