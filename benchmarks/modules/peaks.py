"""What the machine reaches at its best, to hold the modules against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.modules.settings import CHANNELS_LAST, CONVOLUTION, ONEDNN_PRODUCT, PRODUCT
from semanticodec.benchmark.clock import measure, timed
from semanticodec.runtimes.onednn.products import linear, uses_onednn

GIGA = 1e9
PRODUCT_SIZE = 2048
MAP_SHAPE = (2, 64, 256, 16)  # of the T-UNet's level 0, for one window with guidance
KERNEL = 3
FEWEST_RUNS = 10
SHORT_S = 0.5


def measure_peaks(device: torch.device, dtype: torch.dtype, num_runs: int) -> list[dict[str, Any]]:
    """Return name, GFLOP/s of the best run, and all runs, for products and convolutions."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    left, right = random(PRODUCT_SIZE, PRODUCT_SIZE), random(PRODUCT_SIZE, PRODUCT_SIZE)
    features, kernel = random(*MAP_SHAPE), random(MAP_SHAPE[1], MAP_SHAPE[1], KERNEL, KERNEL)
    last = features.contiguous(memory_format=torch.channels_last)
    product_flops = 2 * PRODUCT_SIZE**3
    convolution_flops = 2 * features.numel() * MAP_SHAPE[1] * KERNEL**2
    works: dict[str, tuple[int, Callable[[], Tensor]]] = {
        PRODUCT: (product_flops, lambda: F.linear(left, right)),
        CONVOLUTION: (convolution_flops, lambda: F.conv2d(features, kernel, padding=1)),
        CHANNELS_LAST: (convolution_flops, lambda: F.conv2d(last, kernel, padding=1)),
    }
    with torch.inference_mode():
        if uses_onednn(left):
            works[ONEDNN_PRODUCT] = (product_flops, lambda: linear(left, right))
        return [_peak(name, *work, device, num_runs) for name, work in works.items()]


def _peak(
    name: str, flops: int, run: Callable[[], Tensor], device: torch.device, num_runs: int
) -> dict[str, Any]:
    # A peak takes many runs to be met, where they are short.
    is_short = timed(run, device)[0] < SHORT_S
    timing = measure(run, max(num_runs, FEWEST_RUNS) if is_short else num_runs, device)
    return {
        "name": name,
        "gflop": flops / GIGA,
        "gflops": flops / min(timing.seconds) / GIGA,
        **timing.to_dict(),
    }


def highest(peaks: list[dict[str, Any]]) -> float:
    """Return the GFLOP/s of the fastest."""
    return max(peak["gflops"] for peak in peaks)
