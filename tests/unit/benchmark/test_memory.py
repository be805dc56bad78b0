"""A peak is that of the work since, not of what came before."""

import subprocess
import sys

import pytest
import torch

from semanticodec.benchmark.memory import PeakMemory

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
    assert "while it ran" in PeakMemory(torch.device("cpu")).meaning
