"""Every single call that writes fails once: a file is the old one or the new one, and alone."""

import builtins
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from corpus_records import random_codes, random_record
from semanticodec.audio.io import save_audio
from semanticodec.checkpoints.pretrained import write_weights
from semanticodec.cli.outputs import write_as_it_comes
from semanticodec.corpus.formats import FORMATS
from semanticodec.corpus.journal import CorpusJournal, ShardDone
from semanticodec.errors import SemantiCodecError
from semanticodec.files import atomic_folder, atomic_path, write_json
from semanticodec.runs import claim
from semanticodec.training.feature_cache import kept_features
from semanticodec.training.state import Snapshot, save_snapshot

ERRORS = (errno.ENOSPC, errno.EIO, errno.EINTR)
CALLS = ("open", "replace", "link", "unlink", "mkdir", "rmdir", "chmod", "chown", "fsync")
REMOVING = ("unlink", "rmdir")
HIDDEN = (".partial", ".replaced")


class Faults:
    """Lets the call of a number fail, of all that change files while it is active."""

    def __init__(self, number: int, code: int) -> None:
        self._left, self._code = number, code
        self.failed = ""

    def count(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.failed = name
            raise OSError(self._code, os.strerror(self._code))

    @contextmanager
    def active(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._counted(name, getattr(os, name)))
            for module in (builtins, io):
                patch.setattr(module, "open", self._opening(io.open))
            yield

    def _counted(self, name: str, call: Callable) -> Callable:
        def counted(*args, **kwargs):
            if name != "open" or args[1] & (os.O_WRONLY | os.O_RDWR):
                self.count(name)
            return call(*args, **kwargs)

        return counted

    def _opening(self, call: Callable) -> Callable:
        def opening(file, mode="r", *args, **kwargs):
            if set(mode).isdisjoint("wax+"):
                return call(file, mode, *args, **kwargs)
            self.count("open")
            return FaultyFile(call(file, mode, *args, **kwargs), self)

        return opening


class FaultyFile:
    """A file whose calls are counted."""

    def __init__(self, file: io.IOBase, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> object:
        found = getattr(self._file, name)
        if name not in ("write", "writelines", "flush", "truncate"):
            return found

        def counted(*args):
            self._faults.count(name)
            return found(*args)

        return counted

    def close(self) -> None:
        self._file.close()  # a real one is closed, too, when it says that it failed
        self._faults.count("close")

    def __enter__(self) -> "FaultyFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._file.close()


# --- all kinds of writing; the version says what ---


def a_file(folder: Path, version: int) -> None:
    write_json(folder / "deep" / "a.json", {"version": version})


def a_new_file(folder: Path, version: int) -> None:
    (folder / "a").unlink(missing_ok=True)
    with atomic_path(folder / "a", replace=False) as partial, partial.open("w") as file:
        file.write(f"{version}")


def a_folder(folder: Path, version: int) -> None:
    with atomic_folder(folder / "a") as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "b").write_text(f"{version}")
        with (partial / "c").open("wb") as file:
            np.save(file, np.full(9, version))


def container(folder: Path, version: int) -> None:
    random_codes(20_000, seed=version).save(folder / "a.smtc")


def sound(folder: Path, version: int) -> None:
    save_audio(folder / "a.wav", torch.full((1, 99), version / 4), 16_000)


def weights(folder: Path, version: int) -> None:
    write_weights(folder / "a.safetensors", {"a": torch.full((9,), float(version))}, None)


def chunks(folder: Path, version: int) -> None:
    write_as_it_comes(folder / "a", [b"%d" % version, b"more"])


def checkpoint(folder: Path, version: int) -> None:
    values = {"a": torch.full((9,), float(version))}
    snapshot = Snapshot(
        step=1, weights=values, averages=values, optimizer={}, description={"seed": version}
    )
    save_snapshot(folder, snapshot)


def settings(folder: Path, version: int) -> None:
    claim(folder, {f"key {at}": 0 for at in range(version + 1)}, remedy="", may_grow=True)


def features(folder: Path, version: int) -> None:
    def compute(path: Path) -> np.ndarray:
        np.save(path, np.full((3, 2), float(version)))
        return np.load(path)

    kept_features(folder, {"seed": version}, compute)


def corpus(name: str) -> Callable[[Path, int], None]:
    def write(folder: Path, version: int) -> None:
        records = [random_record(id, 9000, seed=version) for id in "a"]
        FORMATS[name].write(folder, "00000", records)
        FORMATS[name].finish(folder)

    write.__name__ = name
    return write


KINDS = (a_file, a_new_file, a_folder, container, sound, weights, chunks, checkpoint, settings)
KINDS += (features,)
CASES = [(kind, has_old) for kind in KINDS for has_old in (False, True)]
CASES += [(corpus(name), True) for name in FORMATS]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part.endswith(HIDDEN) for part in Path(name).parts)


@pytest.mark.parametrize(
    ("kind", "has_old"), CASES, ids=[f"{kind.__name__}-{old}" for kind, old in CASES]
)
def test_a_call_that_fails_leaves_whole_files(tmp_path: Path, kind: Callable, has_old: bool):
    folder, old = tmp_path / "a", tmp_path / "old"
    folder.mkdir()
    if has_old:
        kind(folder, 1)
    shutil.copytree(folder, old)
    before = contents(folder)
    kind(folder, 2)
    after = contents(folder)
    number = 0
    while True:
        number += 1
        faults = Faults(number, ERRORS[number % len(ERRORS)])
        shutil.rmtree(folder)
        shutil.copytree(old, folder)
        try:
            with faults.active():
                kind(folder, 2)
        except (OSError, SemantiCodecError):
            assert faults.failed
        found = contents(folder)
        if faults.failed in REMOVING:
            found = {name: data for name, data in found.items() if not is_hidden(name)}
        for name, data in found.items():
            assert data in (before.get(name), after.get(name)), (faults.failed, name)
        if kind is not a_new_file:  # which removes the old one itself
            missing = (set(before) & set(after)) - set(found)
            assert not missing, (faults.failed, missing)
        if not faults.failed:
            break
    assert found == after and number > 3


def test_a_journal_whose_writing_fails_holds_whole_lines(tmp_path: Path):
    first, second = (ShardDone(shard=n, ids=[n], num_samples=1, files={}) for n in "12")
    number = 0
    while True:
        number += 1
        faults = Faults(number, ERRORS[number % len(ERRORS)])
        folder = tmp_path / str(number)
        folder.mkdir()
        journal = CorpusJournal(folder)
        journal.append(first)
        try:
            with faults.active():
                journal.append(second)
        except SemantiCodecError:
            assert faults.failed
        found = [line["shard"] for line in CorpusJournal(folder).shards()]
        assert found in (["1"], ["1", "2"])
        if not faults.failed:
            break
    assert found == ["1", "2"] and number > 3
