"""Floating-point operations of every module, counted without computing anything.

Two per multiply-add, of matrix products, convolutions and attention; the rest is small beside
them. What counts is the plain algorithm: where the package gets the same result with less work,
the module shows as more GFLOP/s.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.modules.inputs import Inputs, length_of, positions, work_of
from benchmarks.modules.random_models import weightless
from semanticodec.codec import SemantiCodec
from semanticodec.config import CodecConfig
from semanticodec.encoder.vector_quantizer import VectorQuantizer

NUM_GATES = 4  # of an LSTM


class FlopCount:
    """Counts for one configuration; each module and length once.

    Args:
        config: configuration of the codec.
    """

    def __init__(self, config: CodecConfig) -> None:
        self._codec = weightless(config).to("meta")  # tables are real even there: they follow
        self._counted: dict[tuple[str, int], int] = {}

    def of_window(self, name: str, num_positions: int | None = None) -> int:
        """Return the operations of a single module for one window; a guided step takes two.

        Args:
            name: name of the module.
            num_positions: length of the window (None: a whole one).
        """
        length = positions(self._codec) if num_positions is None else num_positions
        key = name, length
        if key not in self._counted:
            by_formula = BY_FORMULA.get(name, lambda codec: None)(self._codec)
            self._counted[key] = self._traced(*key) if by_formula is None else by_formula * length
        return self._counted[key]

    def of_call(self, name: str, shape: Sequence[int]) -> int:
        """Return the operations of a call of a module whose first argument has this shape."""
        return shape[0] * self.of_window(name, length_of(name, shape, self._codec))

    def _traced(self, name: str, length: int) -> int:
        def random(*shape: int) -> Tensor:
            return torch.empty(shape, device="meta")

        inputs = Inputs(codec=self._codec, random=random, num_items=1, num_positions=length)
        with torch.no_grad():
            work = work_of(name, inputs)
            # The counter does not see into the fused attention.
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                work()
        return counter.get_total_flops()


def _maps(module: nn.Module) -> int:
    """Return the multiplications of a module's linear maps for one row."""
    maps = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return sum(layer.in_features * layer.out_features for layer in maps)


def _lstm(codec: SemantiCodec) -> int:
    """Return products of the LSTM with its inputs and states, and of the linear maps after it."""
    lstm = codec.encoder.acoustic.lstm
    num_directions = 2 if lstm.bidirectional else 1
    products = _maps(codec.encoder.acoustic)
    for layer in range(lstm.num_layers):
        width = lstm.input_size if layer == 0 else num_directions * lstm.hidden_size
        products += num_directions * NUM_GATES * lstm.hidden_size * (width + lstm.hidden_size)
    return 2 * products


def _semantic(codec: SemantiCodec) -> int:
    """Return the products with every centroid."""
    return 2 * codec.semantic_vocab_size * codec.config.encoder.width


def _acoustic(codec: SemantiCodec) -> int | None:
    """Return the products with every code of a table, and of the map into their space."""
    quantizer = codec.encoder.quantizer
    if not isinstance(quantizer, VectorQuantizer):
        return None  # what has no table can be traced
    products = quantizer.embed.numel() + _maps(quantizer.project_in)
    return 2 * products


# Per position: what torch's counter does not see (an LSTM), or does not run without memory.
BY_FORMULA = {"lstm": _lstm, "semantic": _semantic, "acoustic": _acoustic}
