"""Attention: over tokens, over a context, and in the T-UNet's transformers over maps.

Keys and values of a fixed context can be computed once (`Attention.keys_values`) and handed to
every later call, which is what makes many diffusion steps over one context cheap.

Shapes: B batch · N tokens (cells of the T × F plane) · L positions · D width · H heads ·
A width of a head · E width of the context · C channels · T frames · F latent frequency. `_H`:
differs between layers.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import ConfigError
from semanticodec.layers.residual import PointwiseConv, group_norm, zero_init

KeysValues = tuple[Float[Tensor, "B _H L _A"], Float[Tensor, "B _H L _A"]]


class DotProductAttention(nn.Module):
    """Scaled dot-product attention of every head, without weights of its own."""

    def forward(
        self,
        queries: Float[Tensor, "B H N A"],
        keys: Float[Tensor, "B H L A"],
        values: Float[Tensor, "B H L A"],
    ) -> Float[Tensor, "B N H*A"]:
        """Return the softmax-weighted average of the values for every query, heads joined."""
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return attended.transpose(1, 2).flatten(2)  # B H N A -> B N D


class SelfAttention(nn.Module):
    """Multi-head attention of tokens over themselves, as vision transformers have it.

    Unlike `Attention` its queries, keys and values come from one joint projection.

    Args:
        width: width of the tokens, a multiple of `num_heads`.
        num_heads: number of heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise ConfigError(
                f"Attention over {width} values cannot have {num_heads} heads: "
                "choose num_heads so that it divides the width."
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.attend = DotProductAttention()
        self.project = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return what the tokens attend to."""
        qkv = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1))
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)  # B N 3 H A -> 3 B H N A
        return self.project(self.attend(queries, keys, values))


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
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(source_width, width, bias=False)
        self.value = nn.Linear(source_width, width, bias=False)
        self.attend = DotProductAttention()
        self.output = nn.Linear(width, width)

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
        return self.output(self.attend(self._heads(self.query(tokens)), keys, values))

    def _heads(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B H N A"]:
        return tokens.unflatten(2, (-1, self.head_width)).transpose(1, 2)


class GatedFeedForward(nn.Module):
    """Two linear layers with a GELU-gated product between them (GEGLU), four times as wide."""

    def __init__(self, width: int, expansion: int = 4) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * expansion * width)
        self.contract = nn.Linear(expansion * width, width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the transformed tokens."""
        values, gates = self.expand(tokens).chunk(2, dim=-1)
        return self.contract(F.gelu(gates) * values)


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
        num_groups: groups of the normalization.
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
