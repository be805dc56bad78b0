"""A peak is that of the work since, not of what came before."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from semanticodec.benchmark.memory import PeakMemory
from semanticodec.benchmark.process import CommandError, run_command, run_python

LARGE = 200_000_000


PEAKS = f"""
import numpy as np, torch
from semanticodec.benchmark.memory import PeakMemory
before = PeakMemory(torch.device("cpu"))
np.ones({LARGE}, dtype=np.uint8)
peak = before.megabytes()
print(before.is_since_start, peak, PeakMemory(torch.device("cpu")).megabytes())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_new_peak_forgets_the_one_before():
    # In a process of its own: the tests before have grown this one.
    finished = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True)
    is_since_start, first, second = finished.stdout.split()
    if is_since_start == "True":
        pytest.skip("this system does not let a process reset its peak")
    assert float(second) < float(first) - 150
    assert "while the box ran" in PeakMemory(torch.device("cpu")).meaning


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
