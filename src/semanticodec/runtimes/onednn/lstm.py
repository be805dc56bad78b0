"""An LSTM whose items, computed together, come out to the bit as if each were alone.

A step of the recurrence multiplies one row per item by a matrix that fits no cache: 38 MB at 100
tokens per second, 604 MB at 25. It lasts as long as reading that matrix, so items that advance
together share the cost. But products of different sizes round differently, and the codes that
follow must not depend on the batch. oneDNN sums a row in the same order among two rows and among
eight (a single row goes through another kernel). So there are never fewer than two rows, and more
than two only after a trial with the very matrix has shown that rows stay apart.

Measured on one busy AMD core at hidden width 1536, per window of 512 steps and direction:
torch.nn.LSTM 1.06 s; here 0.75 s for one window, 0.2 s for each of eight.

Shapes: B batch · N rows, the items of a group · L positions · D width.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.runtimes.onednn.products import (
    PackedWeight,
    is_cpu_inference,
    linear,
    uses_onednn,
)

LARGEST_GROUP = 8  # items that advance together; with more, arithmetic takes longer than reading
# Below, the matrix fits a cache, and torch.nn.LSTM is faster for its lack of single calls.
FEWEST_HIDDEN = 1024


class FastLSTM(nn.LSTM):
    """torch.nn.LSTM, batch first; in inference on a CPU, items stand for themselves.

    Elsewhere whoever needs items that do not depend on their batch keeps the batch's size fixed.
    """

    def forward(self, input: Float[Tensor, "B L D"]) -> tuple[Float[Tensor, "B L D2"], None]:
        """Return the last layer's outputs, both directions joined, and None for their states."""
        if not is_cpu_inference(input):
            return super().forward(input)[0], None
        is_alone = self.hidden_size < FEWEST_HIDDEN or input.dtype != torch.float32
        if is_alone or not uses_onednn(input):
            alone = [super(FastLSTM, self).forward(item)[0] for item in input.split(1)]
            return torch.cat(alone), None
        outputs = input
        for layer in range(self.num_layers):
            names = [f"l{layer}", f"l{layer}_reverse"][: 1 + self.bidirectional]
            outputs = torch.cat([self._direction(outputs, name) for name in names], dim=-1)
        return outputs, None

    def _direction(self, inputs: Float[Tensor, "B L D"], name: str) -> Float[Tensor, "B L D2"]:
        """Return what one direction of a layer gives; `name` ends the names of its parameters."""
        weight = getattr(self, f"weight_ih_{name}")
        bias = getattr(self, f"bias_ih_{name}") + getattr(self, f"bias_hh_{name}")
        recurrent = PackedWeight(getattr(self, f"weight_hh_{name}"), LARGEST_GROUP)
        is_shared = len(inputs) > 1 and _keeps_rows_apart(recurrent, self.hidden_size)
        outputs = []
        for group in inputs.split(LARGEST_GROUP if is_shared else 1):
            num_rows = len(group) + len(group) % 2  # never one alone
            gates = inputs.new_zeros(inputs.shape[1], num_rows, 4 * self.hidden_size)
            for row, item in enumerate(group):
                gates[:, row] = linear(item, weight, bias)
            hidden = _advance(gates, recurrent, is_reverse=name.endswith("reverse"))
            outputs.append(hidden[:, : len(group)].transpose(0, 1))  # L N D -> N L D
        return torch.cat(outputs)


def _advance(
    gates: Float[Tensor, "L N _D"], recurrent: PackedWeight, *, is_reverse: bool
) -> Float[Tensor, "L N D"]:
    """Return the hidden states of a direction.

    Args:
        gates: contribution of the inputs to the four gates, in torch's order.
        recurrent: weight [4 D, D] of the hidden state of the step before.
        is_reverse: whether to run from the last position to the first.
    """
    length, num_rows, width = gates.shape
    states = gates.new_empty(length, num_rows, width // 4)
    hidden = cell = gates.new_zeros(num_rows, width // 4)
    for step in reversed(range(length)) if is_reverse else range(length):
        summed = recurrent.product(hidden).add_(gates[step])
        input_gate, forget_gate, candidate, output_gate = summed.chunk(4, dim=1)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        hidden = torch.mul(output_gate.sigmoid(), cell.tanh(), out=states[step])
    return states


def _keeps_rows_apart(recurrent: PackedWeight, hidden: int) -> bool:
    """Return whether rows of a whole group get the very bits that they get in pairs."""
    numbers = torch.linspace(-2, 2, 2 * LARGEST_GROUP * 4 * hidden)
    gates = numbers.view(2, LARGEST_GROUP, 4 * hidden)
    together = _advance(gates, recurrent, is_reverse=False)
    pairs = [_advance(pair, recurrent, is_reverse=False) for pair in gates.split(2, dim=1)]
    return torch.equal(together, torch.cat(pairs, dim=1))


class FastAcousticEncoder(AcousticEncoder):
    """The acoustic encoder with its other maps item by item, which costs nothing on a CPU.

    So an item's features, and its codes, do not depend on its batch, to the bit.
    """

    def residual_vectors(
        self,
        features: Float[Tensor, "B L D"],
        quantized: Float[Tensor, "B L D"],
        mel: Float[Tensor, "B T M"] | None = None,
    ) -> Float[Tensor, "B L A"]:
        """Return what the LSTM's outputs are added to."""
        if not is_cpu_inference(features):
            return super().residual_vectors(features, quantized, mel)
        rows = [features, quantized, *([] if mel is None else [mel])]
        return _by_item(super().residual_vectors, rows)

    def project_out(
        self, hidden: Float[Tensor, "B L D2"], residual: Float[Tensor, "B L A"] | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return the features of the LSTM's outputs."""
        if not is_cpu_inference(hidden):
            return super().project_out(hidden, residual)
        rows = [hidden] if residual is None else [hidden, residual]
        return _by_item(super().project_out, rows)


def _by_item(function: Callable[..., Tensor], rows: Sequence[Tensor]) -> Tensor:
    items = zip(*(part.split(1) for part in rows), strict=True)
    return torch.cat([function(*item) for item in items])
