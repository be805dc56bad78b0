"""Files that appear whole or not at all, and digests of what they hold.

    target is a file, or is not there yet    a hidden file beside it, renamed when it is whole
    target is a symbolic link                the file that it leads to; the link stays
    target is a pipe or a device             a temporary file, copied into it when it is whole

Standard library only: everything that writes a file, from the container to the training, uses it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from semanticodec.errors import (
    ConfigError,
    OutputError,
    OutputExistsError,
    SemantiCodecError,
    told,
)

DIGEST_BLOCK = 1 << 20
PROBE_BYTES = 1 << 16
# Names of this process's own open files: opened anew by name, a regular file would be emptied.
DESCRIPTOR_NAME = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
STREAM_NAMES = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

PathLike = str | os.PathLike[str]

_ELSEWHERE = "choose another place"
_FORBIDDEN = ("there is no permission to write there", f"change it, or {_ELSEWHERE}")
_BLOCKED = ("a part of its path is not a folder", _ELSEWHERE)
# What happened and what to do about it, by error number.
_REASONS = {
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.ENOSPC: ("no space is left on the device", f"free some, or {_ELSEWHERE}"),
    errno.EDQUOT: ("the disk quota is used up", f"free some space, or {_ELSEWHERE}"),
    errno.EFBIG: ("it grew beyond the file size limit", f"raise `ulimit -f`, or {_ELSEWHERE}"),
    errno.ENAMETOOLONG: ("the name is too long", "choose one of at most 255 bytes"),
    errno.ENOENT: ("its folder is missing and cannot be made", _ELSEWHERE),
    errno.EISDIR: ("it is a folder", "name a file"),
    errno.ENOTDIR: _BLOCKED,
    errno.EEXIST: _BLOCKED,
    errno.ELOOP: ("its symbolic links lead in a circle", f"remove them, or {_ELSEWHERE}"),
    errno.EPIPE: ("its reader has gone", "start the reader again"),
}
# What `os.link` says where a file system has no hard links.
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class PendingFile:
    """A file that is written under a hidden name and gets its own name when it is whole.

    Permissions are those of the file that is replaced, or what the umask leaves of rw-rw-rw-.
    Missing folders are made. Use `atomic_path` where a `with` block can enclose the writing.

    Args:
        target: path of the finished file; not a pipe or device.
        replace: whether a file that exists by then is replaced.
    Attributes:
        path: the hidden file to write to; short, so that `target` may have any legal name.
    """

    def __init__(self, target: PathLike, *, replace: bool = True) -> None:
        self._target = target
        self._replace = replace
        self._final = Path(os.path.realpath(target))
        self.path = self._final.with_name(f".{uuid.uuid4().hex}.partial")
        self._old: os.stat_result | None = None

    def create(self) -> None:
        """Make the hidden file, empty.

        Raises:
            OutputError: a file cannot be made there.
        """
        with output_errors(self._target):
            self._old = _replaceable(self._target, self._final)
            self._final.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            self._mode = stat.S_IMODE((self._old or self.path.stat()).st_mode)

    def publish(self) -> None:
        """Give the file its own name.

        Raises:
            OutputExistsError: another file has it and is not to be replaced.
            OutputError: the name cannot be given.
        """
        try:
            with output_errors(self._target):
                self._restore_owner_and_mode()
                if self._replace:
                    os.replace(self.path, self._final)
                else:
                    _rename_to_free_name(self.path, self._final)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the hidden file, where the system lets us."""
        with suppress(OSError):
            self.path.unlink()

    def _restore_owner_and_mode(self) -> None:
        written = self.path.stat()
        # Neither is worth a failure: some file systems know no owners and modes.
        with suppress(OSError):
            owner = (self._old or written).st_uid, (self._old or written).st_gid
            if owner != (written.st_uid, written.st_gid):
                os.chown(self.path, *owner)
        with suppress(OSError):
            if stat.S_IMODE(written.st_mode) != self._mode:
                os.chmod(self.path, self._mode)  # safetensors makes its files private


@contextmanager
def atomic_path(target: PathLike, *, replace: bool = True) -> Iterator[Path]:
    """Give a path to write to; the file appears under `target` when the block ends without error.

    Whatever ends the block early (errors, signals that raise), no hidden file stays behind.

    Args:
        target: path of the finished file, pipe or device.
        replace: whether a file that exists by the end of the block is replaced.
    Raises:
        OutputExistsError: there is such a file, and `replace` is false.
        OutputError: `target` cannot be written (permissions, space, names ...).
    """
    if is_stream(target):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result"
            yield path
            with path.open("rb") as finished, output_errors(target), open_stream(target) as stream:
                shutil.copyfileobj(finished, stream)
        return
    pending = PendingFile(target, replace=replace)
    with _discarding(target, pending.path, pending.discard):
        pending.create()
        yield pending.path
    pending.publish()


@contextmanager
def atomic_folder(target: PathLike) -> Iterator[Path]:
    """Give an empty folder to fill; it appears as `target` when the block ends without error.

    What a killed process left is removed by the next one, so one process at a time may use it.

    Args:
        target: the finished folder, which replaces one that is there.
    Raises:
        OutputError: `target` cannot be written (permissions, space, names ...).
    """
    final = Path(os.path.realpath(target))
    partial = final.with_name(f".{final.name}.partial")
    replaced = final.with_name(f".{final.name}.replaced")

    def discard() -> None:
        shutil.rmtree(partial, ignore_errors=True)

    with _discarding(target, partial / "probe", discard):
        with output_errors(target):
            discard()
            _restore_folder(replaced, final)
            partial.mkdir(parents=True)
        yield partial
        with output_errors(target):
            if final.is_dir():
                os.replace(final, replaced)
            try:
                os.replace(partial, final)
            finally:
                _restore_folder(replaced, final)


def _restore_folder(replaced: Path, final: Path) -> None:
    """Give a folder that was to be replaced its name again, or remove it if that has happened."""
    if replaced.is_dir() and not final.exists():
        os.replace(replaced, final)
    shutil.rmtree(replaced, ignore_errors=True)


def check_writable(target: PathLike) -> None:
    """Raise before the work what writing `target` would raise after it.

    Args:
        target: path of a file to be; nothing is made or changed.
    Raises:
        OutputError: a file cannot be made there.
    """
    with output_errors(target):
        if is_stream(target):
            return
        final = Path(os.path.realpath(target))
        _replaceable(target, final)
        folder = final.parent
        while not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if is_read_only else errno.EACCES, "not writable")


def is_stream(target: PathLike) -> bool:
    """Return whether `target` is a pipe, a device or an open file of this process by its number."""
    if _descriptor(target) is not None:
        return True
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def open_stream(target: PathLike) -> BinaryIO:
    """Open for writing what `is_stream` accepts.

    Raises:
        OutputError: it cannot be opened.
    """
    descriptor = _descriptor(target)
    with output_errors(target):
        return open(target, "wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")


def checked_path(path: PathLike, name: str) -> Path:
    """Return a path that the system can be asked for.

    Args:
        path: what a user gave.
        name: what it is, in messages.
    Raises:
        ConfigError: something else, or a null character in it.
    """
    if not isinstance(path, (str, os.PathLike)) or "\0" in os.fsdecode(path):
        raise ConfigError(f"{name} is {told(path)}; give a path")
    return Path(path)


@contextmanager
def output_errors(target: PathLike) -> Iterator[None]:
    """Raise what the system says about writing `target` as an `OutputError` that names it."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise output_error(target, error) from error


def output_error(target: PathLike, error: OSError) -> OutputError:
    """Return the error that says of `target` what the system said of a file behind it."""
    unknown = (error.strerror or str(error), f"check the disk, or {_ELSEWHERE}")
    reason, advice = _REASONS.get(error.errno or 0, unknown)
    return OutputError(f"{os.fspath(target)} cannot be written: {reason}; {advice}")


def write_bytes(target: PathLike, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(target) as partial:
        partial.write_bytes(data)


def write_text(target: PathLike, text: str) -> None:
    r"""Write a UTF-8 text file atomically; file names that are not UTF-8 appear as `\udcff`."""
    write_bytes(target, text.encode(errors="backslashreplace"))


def write_json(target: PathLike, value: Any) -> None:
    """Write a JSON file atomically, indented, with a line feed at its end.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know; leave its key out.
    """
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: PathLike) -> Any:
    """Return the content of a JSON file; a `ValueError` says that it holds none."""
    return parse_json(Path(path).read_text(encoding="utf-8"))


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says; a `JSONDecodeError` where Python would run out of stack, too.

    Raises:
        ValueError: no JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deeply", "", 0) from error


def file_digest(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read block by block."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(DIGEST_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def json_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON-ready value in hexadecimal; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _descriptor(target: PathLike) -> int | None:
    name = os.fspath(target)
    match = DESCRIPTOR_NAME.fullmatch(name)
    return int(match[1]) if match else STREAM_NAMES.get(name)


def _replaceable(target: PathLike, final: Path) -> os.stat_result | None:
    """Return what stands at `final`, None for nothing; raise where it must not be replaced."""
    if os.path.islink(final):  # what a link leads to is never a link, but in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    try:
        found = os.stat(final)
    except FileNotFoundError:
        if os.path.islink(target) and not final.parent.is_dir():
            raise OutputError(
                f"{os.fspath(target)} cannot be written: it is a symbolic link to {final}, whose "
                f"folder does not exist; make the folder, or {_ELSEWHERE}"
            ) from None
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(final, os.W_OK):
        raise OutputError(
            f"{os.fspath(target)} cannot be written: it is write-protected; "
            f"change its permissions, or {_ELSEWHERE}"
        )
    return found


@contextmanager
def _discarding(target: PathLike, path: Path, discard: Callable[[], object]) -> Iterator[None]:
    """Call `discard` if the block fails, and name `target` where `path` could not be written."""
    try:
        yield
    except BaseException as error:
        problem = _storage_problem(path, error)
        discard()
        if problem is not None:
            raise output_error(target, problem) from error
        raise


def _storage_problem(path: Path, error: BaseException) -> OSError | None:
    """Return why `path` could not be written, None where `error` has another cause.

    Libraries report a full disk in their own ways, so the disk itself is asked.
    """
    if not isinstance(error, Exception) or isinstance(error, SemantiCodecError):
        return None
    if isinstance(error, OSError) and error.filename in (str(path), path):
        return error
    try:
        with path.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as problem:
        return problem
    return None


def _rename_to_free_name(source: Path, final: Path) -> None:
    """Rename a file in one step that fails where `final` exists."""
    try:
        try:
            os.link(source, final)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(source, final)
    except FileExistsError as error:
        raise OutputExistsError(
            f"{final} exists already, made by another process in the meantime; "
            "choose another name, or allow replacing it"
        ) from error
