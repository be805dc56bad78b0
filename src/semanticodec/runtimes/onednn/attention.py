"""Attention and its feed-forward, with the functions inside oneDNN's products.

Shapes: B batch · N tokens · L positions · D width · H heads · A width of a head.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from semanticodec.layers.attention import DotProductAttention, GatedFeedForward
from semanticodec.runtimes.onednn.products import activated_linear, linear, uses_onednn

# Rows of the score matrix at once: few calls, and bounded memory for the cells of the VAE.
QUERY_BLOCK = 1024
# With fewer queries the many calls cost what the faster products save.
FEWEST_BLOCKED_QUERIES = 256
# How far scores are shifted below zero beyond their bound, so that 1 + exp(score) rounds to 1.
SIGMOID_MARGIN = {torch.float32: 17.0, torch.bfloat16: 7.0}
# Sums of weights below say that a row's weights may have left the range of normal numbers (2⁻¹²⁶).
SMALLEST_SUM = 2.0**-100


class FastDotProductAttention(DotProductAttention):
    """Attention head by head, the exponential function inside the product of the scores.

    oneDNN can apply a sigmoid to a product while it is in registers. Far below zero that is the
    exponential function, and attention does not change when all scores of a query are shifted. So
    they are shifted below zero by the bound |query| · |key|; what remains of the softmax are the
    sums to divide by. Measured on one AMD core, 1024 queries and keys in heads of 32, in float32
    and bfloat16: 0.68 and 0.40 of the time of torch's fused attention; with the softmax as a pass
    of its own 0.77 and 0.51, and in bfloat16 three times the error, because scores are rounded.
    """

    def forward(
        self,
        queries: Float[Tensor, "B H N A"],
        keys: Float[Tensor, "B H L A"],
        values: Float[Tensor, "B H L A"],
    ) -> Float[Tensor, "B N H*A"]:
        """Return the softmax-weighted average of the values for every query, heads joined."""
        if queries.shape[2] < FEWEST_BLOCKED_QUERIES or not uses_onednn(queries):
            return super().forward(queries, keys, values)
        return _attend_by_sigmoid(queries, keys, values)


def _attend_by_sigmoid(
    queries: Float[Tensor, "B H N A"],
    keys: Float[Tensor, "B H L A"],
    values: Float[Tensor, "B H L A"],
) -> Float[Tensor, "B N H*A"]:
    queries, keys = queries * queries.shape[3] ** -0.5, keys.contiguous()
    longest = [torch.linalg.vector_norm(rows, dim=3).amax(dim=2) for rows in (queries, keys)]
    shift = -(longest[0] * longest[1] + SIGMOID_MARGIN[queries.dtype])  # B H
    shifts = shift[:, :, None].expand(-1, -1, keys.shape[2]).contiguous()  # B H L
    values = values.transpose(2, 3).contiguous()  # B H L A -> B H A L
    batch_size, num_heads, num_queries, width = queries.shape
    attended = queries.new_empty(batch_size, num_queries, num_heads, width)
    sums = queries.new_empty(batch_size, num_queries, num_heads, 1)
    for item in zip(queries, keys, shifts, values, attended.transpose(1, 2), sums.transpose(1, 2)):
        for head in zip(*item):
            _attend_head(*head)
    return attended.div_(sums).flatten(2)  # B N H A -> B N D


def _attend_head(
    queries: Float[Tensor, "N A"],
    keys: Float[Tensor, "L A"],
    shifts: Float[Tensor, " L"],
    values: Float[Tensor, "A L"],
    attended: Float[Tensor, "N A"],
    sums: Float[Tensor, "N 1"],
) -> None:
    """Put the sums of the weighted values, and of the weights, into the last two arguments."""
    for first in range(0, len(queries), QUERY_BLOCK):
        block = slice(first, first + QUERY_BLOCK)
        weights = activated_linear(queries[block], keys, shifts, "sigmoid")
        torch.sum(weights, dim=1, keepdim=True, out=sums[block])
        if sums[block].amin() >= SMALLEST_SUM:
            attended[block] = linear(weights, values)
        else:  # the scores lie too far below their bound
            attended[block] = F.scaled_dot_product_attention(
                queries[None, None, block], keys[None, None], values.t()[None, None], scale=1.0
            )[0, 0]
            sums[block] = 1


class FastGatedFeedForward(GatedFeedForward):
    """GEGLU with the GELU inside the product of the gates."""

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the transformed tokens."""
        if not uses_onednn(tokens):
            return super().forward(tokens)
        value_weight, gate_weight = self.expand.weight.chunk(2)
        value_bias, gate_bias = self.expand.bias.chunk(2)
        gates = activated_linear(tokens, gate_weight, gate_bias, "gelu")
        return self.contract(linear(tokens, value_weight, value_bias).mul_(gates))
