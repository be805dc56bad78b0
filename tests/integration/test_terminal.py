"""Progress on a real terminal of 40 columns: it shows, and Ctrl-C leaves all as it was."""

import os
import shlex
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs the program tmux"),
]
SOCKET = f"semanticodec-{os.getpid()}"


def tmux(*words):
    command = ["tmux", "-L", SOCKET, "-f", "/dev/null", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def screen():
    return [line.rstrip() for line in tmux("capture-pane", "-p").splitlines() if line.strip()]


def wait_for(text):
    """Return the first line on the screen with `text`."""
    ends_at = time.monotonic() + 240
    while time.monotonic() < ends_at:
        if found := [line for line in screen() if text in line]:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no {text!r} in {screen()}")


@pytest.fixture
def terminal():
    tmux("new-session", "-d", "-x", "40", "-y", "12", "env PS1='> ' sh")
    yield
    tmux("kill-server")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("command", ["encode", "tokenize"])
def test_an_hour_long_file_moves_and_stops_with_one_sentence(command, tiny_folder, tmp_path):
    long = tmp_path / "a recording with a name longer than the terminal.flac"
    noise = 0.1 * np.random.default_rng(0).standard_normal(3_600 * 16_000)
    soundfile.write(long, noise, 16_000)
    words = [sys.executable, "-m", "semanticodec", command, str(long), "-o", str(tmp_path / "out")]
    script = tmp_path / "run.sh"
    script.write_text(shlex.join([*words, "--model", str(tiny_folder)]))
    tmux("send-keys", f"clear; sh {script}", "Enter")
    line = wait_for(" %")
    assert len(line) < 40 and len(screen()) == 1
    while line in screen():
        time.sleep(0.1)
    tmux("send-keys", "C-c")
    wait_for("semanticodec: stopped")
    tmux("send-keys", "echo $?-echoed", "Enter")
    wait_for("130-echoed")
    lines = screen()
    at = lines.index("semanticodec: stopped")
    assert at == 0 and "%" not in "".join(lines), lines
