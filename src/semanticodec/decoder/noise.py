"""The noise that a decode starts from and adds: of every window and draw, the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

# noise(window, draw) -> [1, C, T, F]; draw 0 is the start latent, draw i + 1 belongs to step i.
WindowNoise = Callable[[int, int], Tensor]


def seeded_noise(seed: int, shape: tuple[int, ...]) -> WindowNoise:
    """Return noise that depends on seed, window and draw alone: not on batch, device or order."""

    def noise(window: int, draw: int) -> Tensor:
        name = hashlib.blake2b(f"{seed}|{window}|{draw}".encode(), digest_size=7).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(name, "little"))
        return torch.randn(shape, generator=generator)

    return noise
