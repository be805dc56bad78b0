"""Finite scalar quantizer: a few numbers, each rounded to one of a few levels.

    x [B, L, D] -> project_in -> tanh -> round -> digits [B, L, W] -> one code in mixed radix
                                           |-> project_out -> quantized [B, L, D]

There is no table of codes that could collapse, and so no loss and no statistics.

Source: Mentzer et al., Finite Scalar Quantization: VQ-VAE Made Simple (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.nearest import check_codes
from semanticodec.encoder.quantizer import Quantizer, QuantizerOutput, principal_axes
from semanticodec.errors import ConfigError

# The outermost levels lie this share inside of the bounds: rounding reaches them, also of two.
MARGIN = 1e-3


class FiniteScalarQuantizer(Quantizer):
    """Rounds the coordinates of a small space; its grid is the codebook."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes of the quantizer.

        Attributes:
            width: D of the vectors that come in and go out.
            levels: levels of every coordinate, 2 or more each; their product is the number of
                codes. The paper recommends 5 or more each: (8, 8, 8) for 2^9 codes,
                (8, 5, 5, 5) for 2^10, (7, 5, 5, 5, 5) for 2^12, (8, 8, 8, 6, 5) for 2^14.
        """

        width: int = 768
        levels: tuple[int, ...] = (8, 8, 5, 5, 5)

        @property
        def codebook_size(self) -> int:
            """How many different codes there are."""
            return math.prod(self.levels)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        if not config.levels or min(config.levels) < 2:
            raise ConfigError(
                f"the levels {config.levels} of a finite scalar quantizer are no grid; give 2 or "
                "more for each coordinate, such as (8, 5, 5, 5)"
            )
        self.config = config
        num_coordinates = len(config.levels)
        self.project_in = nn.Linear(config.width, num_coordinates)
        self.project_out = nn.Linear(num_coordinates, config.width)

    @property
    def starts_from_vectors(self) -> bool:
        """True: both maps start on the principal axes."""
        return True

    def encode(self, vectors: Float[Tensor, "B L D"]) -> Int[Tensor, "B L"]:
        """Return the code of every position.

        Args:
            vectors: the acoustic encoder's output.
        """
        # One by one: a matrix product rounds differently at another size, and a number near the
        # middle of two levels must not depend on what else is in the batch.
        return torch.cat([self._codes_of(self._bounded(item)) for item in vectors.split(1)])

    def decode(self, codes: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """Return the quantized vector of every code.

        Args:
            codes: integers in [0, codebook_size).
        Raises:
            CodesError: a code out of range.
        """
        check_codes(codes, self.config.codebook_size, "acoustic")
        digits, rest = [], codes
        for levels in self.config.levels:
            digits.append(rest % levels)
            rest = rest // levels
        coordinates = torch.stack(digits, dim=-1) - self._levels(codes) // 2
        return self._projected(coordinates.float())

    def bypass(self, vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Return what `decode` would give if every vector had a code of its own: no rounding."""
        return self._projected(self._bounded(vectors))

    def forward(
        self,
        vectors: Float[Tensor, "B L D"],
        generators: Sequence[torch.Generator] | None = None,
        mask: Bool[Tensor, "B L"] | None = None,
    ) -> QuantizerOutput:
        """Quantize; gradients pass the rounding as if it were not there.

        Args:
            vectors: the acoustic encoder's output.
            generators: not used, nothing is drawn.
            mask: not used, no position teaches the quantizer anything.
        """
        bounded = self._bounded(vectors)
        rounded = bounded + (bounded.round() - bounded).detach()
        return QuantizerOutput(
            quantized=self._projected(rounded), codes=self._codes_of(bounded), losses={}
        )

    @torch.no_grad()
    def start_from(self, vectors: Float[Tensor, "N D"], generator: torch.Generator) -> None:
        """Start on the principal axes, at unit variance, and with the best linear way back.

        The hyperbolic tangent then spreads the vectors over all levels.

        Args:
            vectors: outputs of the untrained acoustic encoder for many windows.
            generator: not used.
        """
        axes, variances, mean = principal_axes(vectors, len(self.config.levels))
        axes = variances.clamp_min(1e-12).rsqrt().unsqueeze(1) * axes
        self.project_in.weight.copy_(axes)
        self.project_in.bias.copy_(-(axes @ mean))
        values = self._values(self._bounded(vectors.unsqueeze(0)))[0].double().cpu()
        columns = torch.cat([values, torch.ones(len(values), 1, dtype=values.dtype)], dim=1)
        # The normal equations, with a trace of damping for coordinates that never move.
        gram = columns.T @ columns
        gram += 1e-6 * len(values) * torch.eye(len(gram), dtype=gram.dtype)
        solution = torch.linalg.solve(gram, columns.T @ vectors.double().cpu())
        self.project_out.weight.copy_(solution[:-1].T)
        self.project_out.bias.copy_(solution[-1])

    def _levels(self, like: Tensor) -> Int[Tensor, " W"]:
        return torch.tensor(self.config.levels, device=like.device)

    def _bounded(self, vectors: Float[Tensor, "B L D"]) -> Float[Tensor, "B L W"]:
        """Return coordinates that round to the levels -(n // 2) ... (n - 1) // 2."""
        with torch.autocast(vectors.device.type, enabled=False):
            free = _linear(self.project_in, vectors)
        levels = self._levels(vectors).float()
        half = (levels - 1) / 2 * (1 + MARGIN)
        # An even number of levels has no middle one: the curve moves half a step down, and still
        # passes through zero.
        offset = (1 - levels % 2) / 2
        return half * (free + torch.atanh(offset / half)).tanh() - offset

    def _codes_of(self, bounded: Float[Tensor, "B L W"]) -> Int[Tensor, "B L"]:
        digits = bounded.round().long() + self._levels(bounded) // 2
        codes = torch.zeros_like(digits[..., 0])
        for digit, levels in zip(reversed(digits.unbind(-1)), reversed(self.config.levels)):
            codes = codes * levels + digit.clamp(0, levels - 1)
        return codes

    def _values(self, coordinates: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        """Return coordinates on about [-1, 1]."""
        return coordinates / (self._levels(coordinates) // 2)

    def _projected(self, coordinates: Float[Tensor, "B L W"]) -> Float[Tensor, "B L D"]:
        with torch.autocast(coordinates.device.type, enabled=False):
            return _linear(self.project_out, self._values(coordinates))


def _linear(layer: nn.Linear, inputs: Float[Tensor, "B L D"]) -> Float[Tensor, "B L W"]:
    """Apply a layer in float32, whatever type its weights are stored in."""
    return F.linear(inputs.float(), layer.weight.float(), layer.bias.float())
