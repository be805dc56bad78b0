"""Fixed sinusoidal codes for sequence positions, patch grids and diffusion timesteps.

Shapes: B batch · L positions · D width.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.errors import ConfigError

MAX_PERIOD = 10000.0  # longest wave length over 2 pi, in positions; the Transformer's usual value


def position_code(
    num_positions: int, width: int, device: torch.device | None = None
) -> Float[Tensor, "L D"]:
    """Return sinusoidal codes of the positions 0 … L - 1, sines and cosines interleaved.

    Args:
        num_positions: number of positions L.
        width: columns of the code, even; 192 for the official condition.
        device: device of the result.
    Returns:
        Column 2i is sin, column 2i + 1 is cos of position / 10000^(2i / width).
    Raises:
        ConfigError: the width is odd.
    """
    angles = _angles(torch.arange(num_positions, device=device), _even_half(width, 1))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # L D/2 2 -> L D


def grid_positions(num_times: int, num_bands: int, width: int) -> Float[Tensor, "1 L D"]:
    """Return fixed sin-cos codes of a time × frequency grid: half the width each, time-major.

    Args:
        num_times: steps of the grid in time.
        num_bands: bands of the grid.
        width: columns of the code, a multiple of 4.
    Returns:
        One row per cell, L = times · bands; the first half of a code holds [sin, cos] of the band,
        the second half [sin, cos] of the time.
    Raises:
        ConfigError: the width is not a multiple of 4.
    """
    num_waves = _even_half(width, 2)
    # In float64, as masked autoencoders compute it; the others here stay in float32 throughout.
    frequencies = 1.0 / MAX_PERIOD ** (torch.arange(num_waves, dtype=torch.float64) / num_waves)

    def codes(indices: Int[Tensor, " L"]) -> Float[Tensor, "L D"]:
        angles = indices.double()[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    time, band = torch.meshgrid(torch.arange(num_times), torch.arange(num_bands), indexing="ij")
    grid = torch.cat([codes(band.flatten()), codes(time.flatten())], dim=-1)
    return grid.float().unsqueeze(0)


def timestep_embedding(timestep: Int[Tensor, " B"], width: int) -> Float[Tensor, "B D"]:
    """Return the sinusoidal embedding of diffusion timesteps, cosines before sines.

    Args:
        timestep: index of the diffusion step, one per item.
        width: columns of the embedding, even.
    Returns:
        Float32 embedding [cos, sin].
    Raises:
        ConfigError: the width is odd.
    """
    angles = _angles(timestep, _even_half(width, 1))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _even_half(width: int, num_axes: int) -> int:
    """Return how many sine waves each axis gets when sine and cosine share the width."""
    if width <= 0 or width % (2 * num_axes):
        raise ConfigError(
            f"A sinusoidal code over {num_axes} axis/axes cannot be {width} wide: "
            f"choose a positive multiple of {2 * num_axes}."
        )
    return width // (2 * num_axes)


def _angles(index: Int[Tensor, " N"], num_waves: int) -> Float[Tensor, "N D"]:
    """Return index · 10000^(-i / num_waves) for each wave i.

    Float32 throughout on purpose: trained weights saw these very values, and an exact angle
    would differ from them by up to 3e-5 at position 500.
    """
    waves = torch.arange(num_waves, dtype=torch.float32, device=index.device)
    return index[:, None].float() * torch.exp(waves * (-math.log(MAX_PERIOD) / num_waves))
