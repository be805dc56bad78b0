"""What a fresh process takes is its own, and a failure says why."""

import os
import sys
import time

import numpy as np
import pytest

from benchmarks.process import CommandError, cpu_seconds, run_command, run_python

LARGE = 200_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_has_its_own_memory_whatever_its_parent_holds():
    held = np.ones(LARGE, dtype=np.uint8)
    light = run_python(["-c", "import time; time.sleep(0.3)"])
    heavy = run_python(["-c", f"import time; held = bytes([1]) * {LARGE}; time.sleep(0.3)"])
    assert light.peak_mb < 100 < held.nbytes / 1e6 < heavy.peak_mb
    assert light.seconds > 0.3 > light.cpu_seconds


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(CommandError, match=r"info .* failed \(2\): semanticodec: error: "):
        run_command("info", tmp_path / "nothing.smtc")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_cpu_seconds_of_a_running_process_are_its_clock():
    before, clock = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() < clock + 0.1:
        pass
    assert 0.08 < cpu_seconds(os.getpid()) - before < 0.2
