"""A file is whole or not there, whatever goes wrong, and nothing else is touched."""

import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from semanticodec import files
from semanticodec.errors import ConfigError, OutputError, OutputExistsError
from semanticodec.files import (
    atomic_folder,
    atomic_path,
    check_writable,
    file_digest,
    json_digest,
    write_bytes,
    write_json,
    write_text,
)

BLOCK = 16_384
IS_ROOT = os.geteuid() == 0
POWERS = "-dac_override,-dac_read_search"
WITHOUT_POWERS = ("setpriv", "--bounding-set", POWERS, "--inh-caps", POWERS)


@contextmanager
def full_disk():
    """Let no file grow beyond `BLOCK` bytes, as on a disk without room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def unprivileged(program, *words):
    """Run a program for which permissions count; skip where none can be made so."""
    prefix = WITHOUT_POWERS if IS_ROOT else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("permissions do not bind root, and there is no setpriv")
    command = [*prefix, sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def names(folder):
    return sorted(os.listdir(folder))


# --- whole or not there ---


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "deep" / "a.bin"
    write_bytes(target, b"first")
    for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit, ConfigError):
        with pytest.raises(error), atomic_path(target) as partial:
            partial.write_bytes(b"half")
            raise error
    assert target.read_bytes() == b"first"
    assert names(target.parent) == ["a.bin"]


def test_the_name_appears_at_the_end(tmp_path):
    with atomic_path(tmp_path / "a") as partial:
        partial.write_bytes(b"whole")
        assert names(tmp_path) == [partial.name]
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_names_may_be_as_long_as_the_file_system_takes(tmp_path):
    for name in ("n" * 255, "ü" * 127, os.fsdecode(b"\xff\xfe")):
        write_bytes(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    with pytest.raises(OutputError, match="the name is too long; choose one of at most 255 bytes"):
        write_bytes(tmp_path / ("n" * 256), b"x")


def test_permissions_are_those_of_the_old_file_or_the_umask(tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"")
    old.chmod(0o640)
    umask = os.umask(0o027)
    try:
        for target in (old, tmp_path / "new"):
            with atomic_path(target) as partial:
                partial.write_bytes(b"x")
                partial.chmod(0o600)  # as safetensors does
    finally:
        os.umask(umask)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640  # 666 without 027


@pytest.mark.skipif(not IS_ROOT, reason="only root may give files away")
def test_the_owner_stays(tmp_path):
    target = tmp_path / "a"
    target.touch()
    os.chown(target, 1234, 2345)
    write_bytes(target, b"x")
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 2345)


# --- what is not to be replaced ---


def test_one_of_two_writers_publishes_and_the_other_learns_it(tmp_path):
    target = tmp_path / "a"
    expected = "exists already, made by another process"
    with (
        pytest.raises(OutputExistsError, match=expected),
        atomic_path(target, replace=False) as late,
    ):
        late.write_bytes(b"late")
        with atomic_path(target, replace=False) as early:
            early.write_bytes(b"early")
    assert target.read_bytes() == b"early"
    assert names(tmp_path) == ["a"]


def test_file_systems_without_hard_links_keep_the_promise(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(files.os, "link", refuse)
    test_one_of_two_writers_publishes_and_the_other_learns_it(tmp_path)


def test_links_stay_and_their_files_are_written(tmp_path):
    (tmp_path / "store").mkdir()
    for name, content in (("real", b"old"), ("dangling", None)):
        behind, link = tmp_path / "store" / name, tmp_path / name
        if content is not None:
            behind.write_bytes(content)
        link.symlink_to(behind)
        write_bytes(link, b"new")
        assert link.is_symlink() and behind.read_bytes() == b"new"
    (tmp_path / "folder").symlink_to(tmp_path / "store")
    write_bytes(tmp_path / "folder" / "inside", b"x")
    assert (tmp_path / "folder").is_symlink()
    assert names(tmp_path / "store") == ["dangling", "inside", "real"]


def test_links_to_nowhere_and_in_circles_are_refused(tmp_path):
    (tmp_path / "unmounted").symlink_to(tmp_path / "mount" / "a")
    with pytest.raises(OutputError, match=r"a symbolic link to .*mount/a, whose folder does not"):
        write_bytes(tmp_path / "unmounted", b"x")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OutputError, match="symbolic links lead in a circle"):
        write_bytes(tmp_path / "circle", b"x")
    assert names(tmp_path) == ["circle", "unmounted"]
    assert (tmp_path / "circle").is_symlink()


def test_folders_are_no_files_and_files_no_folders(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for write in (check_writable, lambda target: write_bytes(target, b"x")):
        with pytest.raises(OutputError, match="folder cannot be written: it is a folder"):
            write(tmp_path / "folder")
        with pytest.raises(OutputError, match="a part of its path is not a folder"):
            write(tmp_path / "file" / "deeper" / "a")
    assert names(tmp_path) == ["file", "folder"]


def test_pipes_are_filled_and_stay_pipes(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"x" * 100_000)
    reader.join(10)
    assert got == [b"x" * 100_000]
    assert pipe.is_fifo() and names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_open_files_are_continued_where_they_are(tmp_path, name):
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no such names on this system")
    with (tmp_path / "log").open("ab") as log:
        log.write(b"before ")
        log.flush()
        write_bytes(name.format(log.fileno()), b"after")
    assert (tmp_path / "log").read_bytes() == b"before after"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_devices_are_written_to_and_their_errors_named():
    write_bytes("/dev/null", b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OutputError, match="/dev/full cannot be written: no space is left"):
        write_bytes("/dev/full", b"x")


# --- full disks and read-only folders ---


def fill_by_python(path):
    path.write_bytes(bytes(10 * BLOCK))


def fill_by_numpy(path):
    import numpy as np

    with path.open("wb") as file:
        np.save(file, np.zeros(10 * BLOCK))


def fill_by_safetensors(path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(10 * BLOCK)}, path)


FILLERS = (fill_by_python, fill_by_numpy, fill_by_safetensors)


@pytest.mark.parametrize("fill", FILLERS)
def test_a_full_disk_is_named_with_the_target_and_left_clean(tmp_path, fill):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    expected = f"^{target} cannot be written: it grew beyond the file size limit; raise"
    with full_disk(), pytest.raises(OutputError, match=expected), atomic_path(target) as partial:
        fill(partial)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    expected = f"^{tmp_path / 'b'} cannot be written"
    with (
        full_disk(),
        pytest.raises(OutputError, match=expected),
        atomic_folder(tmp_path / "b") as partial,
    ):
        fill(partial / "a")
    assert names(tmp_path) == ["a"]


def test_other_failures_are_not_blamed_on_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "input").read_bytes()
    with pytest.raises(RuntimeError, match="of the model"), atomic_path(tmp_path / "a"):
        raise RuntimeError("of the model")
    assert names(tmp_path) == []


@pytest.mark.parametrize("write", ["check_writable(target)", "write_bytes(target, b'x')"])
def test_a_folder_without_permission_is_named(tmp_path, write):
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    folder.chmod(0o555)
    program = (
        "import sys; from semanticodec.files import check_writable, write_bytes\n"
        "from semanticodec.errors import OutputError\n"
        "for target in sys.argv[1:]:\n"
        f"    try: {write}; print('written')\n"
        "    except OutputError as error: print(error)\n"
    )
    targets = (folder / "new", folder / "old", folder / "deep" / "er")
    finished = unprivileged(program, *targets)
    folder.chmod(0o755)
    lines = finished.stdout.splitlines()
    assert len(lines) == 3, finished.stderr
    for target, line in zip(targets, lines):
        assert line.startswith(f"{target} cannot be written: there is no permission")
    assert names(folder) == ["old"]


def test_a_protected_file_is_not_replaced(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"precious")
    target.chmod(0o444)
    program = "import sys; from semanticodec.files import *; write_bytes(sys.argv[1], b'x')"
    finished = unprivileged(program, target)
    assert "it is write-protected; change its permissions" in finished.stderr
    assert target.read_bytes() == b"precious" and names(tmp_path) == ["a"]


# --- killed ---


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace to kill with")
@pytest.mark.parametrize("call", ["write", "rename", "chmod", "mkdir", "unlink"])
def test_a_kill_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path, call):
    target = tmp_path / "folder" / "a"
    program = (
        "import sys; from semanticodec.files import *\nwrite_bytes(sys.argv[1], b'new' * 9999)"
    )
    old, new = b"old" * 9999, b"new" * 9999
    for number in range(1, 20):
        write_bytes(target, old)
        target.chmod(0o640)
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        command = ["strace", "-f", "-o", "/dev/null", "-e", inject, sys.executable, "-c", program]
        killed = subprocess.run([*command, target], capture_output=True, timeout=60)
        assert target.read_bytes() in (old, new)
        if killed.returncode == 0:
            assert target.read_bytes() == new
            return
    pytest.fail("the program never came to its end")


# --- folders, text, digests ---


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    (tmp_path / ".a.partial").mkdir()  # of a process that was killed
    (tmp_path / ".a.partial" / "junk").touch()
    for number in (1, 2):
        with atomic_folder(tmp_path / "a") as partial:
            (partial / f"{number}").touch()
        assert names(tmp_path / "a") == [str(number)]
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "a") as partial:
        (partial / "3").touch()
        _ = 1 / 0
    assert names(tmp_path / "a") == ["2"] and names(tmp_path) == ["a"]


def test_text_holds_any_file_name(tmp_path):
    name = os.fsdecode(b"caf\xe9 ") + "café"
    write_text(tmp_path / "a.txt", name)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == r"caf\udce9 café"
    write_json(tmp_path / "a.json", {"name": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": name}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert names(tmp_path) == ["a.json", "a.txt"]


def test_digests_are_those_of_the_bytes_and_of_the_values(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_digest(path).startswith("ba7816bf8f01cfea")  # FIPS 180-2, Appendix B.1
    assert json_digest({"a": 1, "b": [2]}) == json_digest({"b": (2,), "a": 1})
    assert json_digest({"a": 1}) != json_digest({"a": 2})


def test_the_working_folder_may_be_named_by_nothing_but_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bytes("a", b"x")
    assert Path("a").read_bytes() == b"x"
