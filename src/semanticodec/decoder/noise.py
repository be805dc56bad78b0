"""The noise that decoding starts from and adds, the same everywhere for a window and a draw."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.errors import ConfigError, told

# noise(window, draw) -> [1, C, T, F]; draw 0 is the start latent, draw i + 1 belongs to step i.
WindowNoise = Callable[[int, int], Tensor]


def seeded_noise(seed: int, shape: tuple[int, ...]) -> WindowNoise:
    """Return noise that depends on seed, window and draw alone: not on batch, device or order.

    Args:
        seed: any whole number.
        shape: [1, C, T, F] of a whole window.
    Raises:
        ConfigError: a seed that is no whole number.
    """
    try:
        number = operator.index(seed)
    except TypeError as error:
        raise ConfigError(f"seed is {told(seed)}; give a whole number") from error

    def noise(window: int, draw: int) -> Float[Tensor, "1 C T F"]:
        name = hashlib.blake2b(f"{number}|{window}|{draw}".encode(), digest_size=7).digest()
        generator = torch.Generator("cpu").manual_seed(int.from_bytes(name, "little"))
        return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")

    return noise


def check_noise(noise: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse noise of a user's that does not fit a window.

    Raises:
        ConfigError: no floating-point tensor of this shape.
    """
    is_tensor = isinstance(noise, Tensor) and noise.is_floating_point() and not noise.is_nested
    if not is_tensor or tuple(noise.shape) != shape:
        raise ConfigError(
            f"noise(window, draw) gave {told(noise)}; floats of {list(shape)} are needed"
        )
