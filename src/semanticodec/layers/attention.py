"""Attention parts of the T-UNet: multi-head attention, transformer block, spatial transformer.

Keys and values of a fixed context can be computed once (`Attention.keys_values`) and handed to
every later call, which is what makes many diffusion steps over one context cheap.

Shapes: B batch · N tokens (cells of the T × F plane) · L positions · D width · H heads ·
A width of a head · E width of the context · C channels · T frames · F latent frequency. `_H`:
differs between layers.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.errors import ConfigError
from semanticodec.layers.linear import Linear, PointwiseConv, activated_linear, linear, uses_onednn
from semanticodec.layers.residual import group_norm, zero_init

KeysValues = tuple[Float[Tensor, "B _H L _A"], Float[Tensor, "B _H L _A"]]

# Rows of the score matrix at once: few calls, and bounded memory for the cells of the VAE.
QUERY_BLOCK = 1024
# With fewer queries the many calls cost what the faster products save.
FEWEST_BLOCKED_QUERIES = 256
# How far scores are shifted below zero beyond their bound, so that 1 + exp(score) rounds to 1.
SIGMOID_MARGIN = {torch.float32: 17.0, torch.bfloat16: 7.0}
# Sums of weights below say that a row's weights may have left the range of normal numbers (2⁻¹²⁶).
SMALLEST_SUM = 2.0**-100


def attend(
    queries: Float[Tensor, "B H N A"],
    keys: Float[Tensor, "B H L A"],
    values: Float[Tensor, "B H L A"],
) -> Float[Tensor, "B N H*A"]:
    """Return the softmax-weighted average of the values for every query, heads joined.

    torch's fused attention, except where oneDNN's products are faster (see `layers.linear`).
    """
    if queries.shape[2] >= FEWEST_BLOCKED_QUERIES and uses_onednn(queries):
        return _attend_by_sigmoid(queries, keys, values)
    attended = F.scaled_dot_product_attention(queries, keys, values)
    return attended.transpose(1, 2).flatten(2)  # B H N A -> B N D


def _attend_by_sigmoid(
    queries: Float[Tensor, "B H N A"],
    keys: Float[Tensor, "B H L A"],
    values: Float[Tensor, "B H L A"],
) -> Float[Tensor, "B N H*A"]:
    """Compute attention head by head, the exponential function inside the product of the scores.

    oneDNN can apply a sigmoid to a product while it is in registers. Far below zero that is the
    exponential function, and attention does not change when all scores of a query are shifted. So
    they are shifted below zero by the bound |query| · |key|; what remains of the softmax are the
    sums to divide by. Measured on one AMD core, 1024 queries and keys in heads of 32, in float32
    and bfloat16: 0.68 and 0.40 of the time of torch's fused attention; with the softmax as a pass
    of its own 0.77 and 0.51, and in bfloat16 three times the error, because scores are rounded.
    """
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


class Attention(nn.Module):
    """Multi-head attention of tokens over themselves or over a context.

    Args:
        width: width of the tokens, a multiple of `head_width`.
        head_width: width of one head.
        context_width: width of the context; None for self-attention.
    Raises:
        ConfigError: the heads do not divide the width.
    """

    def __init__(self, width: int, head_width: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % head_width:
            raise ConfigError(
                f"Attention over {width} channels cannot have heads of {head_width}: "
                "choose head_width so that it divides the channels of every attention level."
            )
        self.head_width = head_width
        source_width = width if context_width is None else context_width
        self.query = Linear(width, width, bias=False)
        self.key = Linear(source_width, width, bias=False)
        self.value = Linear(source_width, width, bias=False)
        self.output = Linear(width, width)

    def keys_values(self, context: Float[Tensor, "B L E"]) -> KeysValues:
        """Return the keys and values of a context, for use in any number of calls."""
        return self._heads(self.key(context)), self._heads(self.value(context))

    def forward(
        self, tokens: Float[Tensor, "B N D"], keys_values: KeysValues | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return what the tokens attend to.

        Args:
            tokens: the queries.
            keys_values: result of `keys_values`; None attends over the tokens themselves.
        """
        keys, values = self.keys_values(tokens) if keys_values is None else keys_values
        return self.output(attend(self._heads(self.query(tokens)), keys, values))

    def _heads(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B H N A"]:
        return tokens.unflatten(2, (-1, self.head_width)).transpose(1, 2)


class GatedFeedForward(nn.Module):
    """Two linear layers with a GELU-gated product between them (GEGLU), four times as wide."""

    def __init__(self, width: int, expansion: int = 4) -> None:
        super().__init__()
        self.expand = Linear(width, 2 * expansion * width)
        self.contract = Linear(expansion * width, width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the transformed tokens."""
        if not uses_onednn(tokens):
            values, gates = self.expand(tokens).chunk(2, dim=-1)
            return self.contract(F.gelu(gates).mul_(values))
        value_weight, gate_weight = self.expand.weight.chunk(2)
        value_bias, gate_bias = self.expand.bias.chunk(2)
        gates = activated_linear(tokens, gate_weight, gate_bias, "gelu")
        return self.contract(linear(tokens, value_weight, value_bias).mul_(gates))


class TransformerBlock(nn.Module):
    """Pre-norm block of two attentions and a feed-forward.

    The first attention is over the tokens. The second is over the context, or over the tokens
    again when the block was built without one.

    Args:
        width: width of the tokens.
        head_width: width of one attention head.
        context_width: width of the context of the second attention, None for none.
    """

    def __init__(self, width: int, head_width: int, context_width: int | None = None) -> None:
        super().__init__()
        self.norm_first = nn.LayerNorm(width)
        self.first_attention = Attention(width, head_width)
        self.norm_second = nn.LayerNorm(width)
        self.second_attention = Attention(width, head_width, context_width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = GatedFeedForward(width)

    def forward(
        self, tokens: Float[Tensor, "B N D"], keys_values: KeysValues | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return the tokens after both attentions and the feed-forward.

        Args:
            tokens: input of the block.
            keys_values: context of the second attention; None attends over the tokens.
        """
        tokens = self.first_attention(self.norm_first(tokens)).add_(tokens)
        tokens = self.second_attention(self.norm_second(tokens), keys_values).add_(tokens)
        return self.feed_forward(self.norm_feed_forward(tokens)).add_(tokens)


class SpatialTransformer(nn.Module):
    """A transformer block over all cells of a feature map, added to the map.

    Args:
        channels: channels of the map, a multiple of `head_width` and of `num_groups`.
        head_width: width of one attention head.
        context_width: width of the context, None for a transformer without cross-attention.
        num_groups: groups of the normalisation.
    """

    def __init__(
        self,
        channels: int,
        head_width: int,
        context_width: int | None = None,
        num_groups: int = 32,
    ) -> None:
        super().__init__()
        self.has_context = context_width is not None
        self.norm = group_norm(channels, num_groups, eps=1e-6)
        self.project_in = PointwiseConv(channels, channels)
        self.block = TransformerBlock(channels, head_width, context_width)
        self.project_out = zero_init(PointwiseConv(channels, channels))

    def keys_values(self, context: Float[Tensor, "B L E"]) -> KeysValues:
        """Return the keys and values of the cross-attention for a context."""
        return self.block.second_attention.keys_values(context)

    def forward(
        self, features: Float[Tensor, "B C T F"], keys_values: KeysValues | None = None
    ) -> Float[Tensor, "B C T F"]:
        """Return the map plus what the transformer adds to it.

        Args:
            features: input map.
            keys_values: result of `keys_values`, exactly when the transformer has a context.
        """
        assert (keys_values is not None) == self.has_context, "context given to the wrong block"
        tokens = self.project_in(self.norm(features)).flatten(2).transpose(1, 2)  # -> B N C
        attended = self.block(tokens, keys_values).transpose(1, 2)  # B N C -> B C N
        return self.project_out(attended.unflatten(2, features.shape[2:])).add_(features)
