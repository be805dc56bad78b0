"""The official code's times, and how ours compare.

All numbers: official code, 2 idle threads of a 2-core AMD EPYC, reference measurements, float32,
100 tokens per second, one window of 10.24 s, 50 steps of DDIM with guidance.
"""

from __future__ import annotations

from typing import Any

from benchmarks.modules.settings import CHANNELS_LAST, CONVOLUTION, PRODUCT

SOURCE = "official code, 2 idle threads of a 2-core AMD EPYC, reference measurements"
DECODE_WINDOW_S = 61.0
# GFLOP/s of the same machine in the same minute.
PEAKS = {PRODUCT: 155.0, CONVOLUTION: 355.0, CHANNELS_LAST: 430.0}
NUM_STEPS, SAMPLER = 50, "ddim"


def compare(seconds: float, num_windows: int, peaks: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return how many times faster a decode was than the official code's.

    Args:
        seconds: seconds of our decode.
        num_windows: number of windows that it computed.
        peaks: float32 peaks of our machine in the same run; None leaves the correction out, as
            for a GPU, whose peaks have no like.
    Returns:
        `raw`: by the clock; `corrected`: by peak, as if that peak were the reference machine's.
    """
    official_s = DECODE_WINDOW_S * num_windows
    raw = official_s / seconds
    ours = {peak["name"]: peak["gflops"] for peak in peaks or ()}
    return {
        "source": SOURCE,
        "official_seconds": official_s,
        "official_peaks": PEAKS,
        "raw": raw,
        "corrected": {name: raw * PEAKS[name] / ours[name] for name in PEAKS if name in ours},
    }
