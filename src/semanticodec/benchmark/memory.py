"""The most memory that a piece of work held at once."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

MEGABYTE = 1e6
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5): the high-water mark of the resident set starts again


def high_water_mark(status: Path = STATUS) -> int | None:
    """Return the largest resident set of a process so far in bytes; None where Linux is not."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(sizes[0]) * 1024 if sizes else None


class PeakMemory:
    """Measures from its creation on.

    Args:
        device: device whose memory counts: on CUDA allocations of tensors, elsewhere the process.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.is_since_start = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            RESET.write_text(RESET_PEAK)
        except OSError:
            self.is_since_start = True

    @property
    def meaning(self) -> str:
        """What the number is."""
        if self._device.type == "cuda":
            return "tensors on the GPU, weights included"
        since = "since it started" if self.is_since_start else "while it ran"
        return f"the process with all loaded weights, {since}"

    def megabytes(self) -> float:
        """Return the most that was held since, in units of 10^6 bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / MEGABYTE
        mark = high_water_mark()
        if mark is None:
            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            mark = largest if sys.platform == "darwin" else largest * 1024
        return mark / MEGABYTE
