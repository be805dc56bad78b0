"""Moving average of the trained weights: what a trained module is exported from."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter


class WeightAverage:
    """Exponential moving average of named parameters, kept in float32.

    Args:
        parameters: the parameters by name.
        decay: weight of the old average in [0, 1); 0 keeps no memory.
    """

    def __init__(self, parameters: dict[str, Parameter], decay: float):
        self.parameters = parameters
        self.decay = decay
        self.averages: dict[str, Tensor] = {
            name: parameter.detach().float().clone() for name, parameter in parameters.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (0-based); early steps forget faster."""
        # Without the warm-up the random initial weights would stay in the average for long.
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.averages[name].lerp_(parameter.float(), 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages into the parameters for the time of a `with` block."""
        kept = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.load(self.averages)
        try:
            yield
        finally:
            self.load(kept)

    @torch.no_grad()
    def load(self, values: dict[str, Tensor]) -> None:
        """Copy named values into the parameters."""
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
