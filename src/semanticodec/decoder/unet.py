"""The T-UNet: a convolutional U-Net with transformers that predicts the velocity (Eq. 9).

    latent ─ input conv ─ level 0 ─ level 1 ─ level 2 ─ level 3 ─┐
                            │skip     │skip     │skip            middle
    velocity ─ output conv ─ level 0 ─ level 1 ─ level 2 ─ level 3 ─┘

Each level halves frames and bins. On attention levels and in the middle, a residual block is
followed by a transformer over the features (self) and one over features and context (cross).

Shapes: B batch · C channels · T frames · F latent frequency · L positions · D width ·
E width of the context. A leading underscore marks a size that differs between the levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from semanticodec.decoder.condition import AlignedProjection, BandedProjection
from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.errors import CodesError, ConfigError
from semanticodec.layers.attention import KeysValues, SpatialTransformer
from semanticodec.layers.embeddings import timestep_embedding
from semanticodec.layers.residual import (
    Downsample,
    ResidualBlock,
    Upsample,
    group_norm,
    zero_init,
)


@dataclass(frozen=True)
class PreparedContext:
    """What the T-UNet computes from a context alone, the same for all diffusion steps.

    Attributes:
        keys_values: keys and values of every cross-attention, in order of execution.
        aligned: feature map to add at the entrance of every level, and with a context transformer
            one to add to the velocity; empty without the option.
    """

    keys_values: tuple[KeysValues, ...]
    aligned: tuple[Float[Tensor, "B _C _T _F"], ...]

    def joined(self, other: PreparedContext) -> PreparedContext:
        """Return both as one batch, the items of this one first."""
        keys_values = (
            (torch.cat([keys, other_keys]), torch.cat([values, other_values]))
            for (keys, values), (other_keys, other_values) in zip(
                self.keys_values, other.keys_values, strict=True
            )
        )
        aligned = (torch.cat(maps) for maps in zip(self.aligned, other.aligned, strict=True))
        return PreparedContext(tuple(keys_values), tuple(aligned))

    def expanded(self, batch_size: int) -> PreparedContext:
        """Return the only item as many times, without a copy."""
        keys_values = (
            (keys.expand(batch_size, -1, -1, -1), values.expand(batch_size, -1, -1, -1))
            for keys, values in self.keys_values
        )
        aligned = (features.expand(batch_size, -1, -1, -1) for features in self.aligned)
        return PreparedContext(tuple(keys_values), tuple(aligned))


class TUNet(nn.Module):
    """Velocity network conditioned on the quantized features of a window."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Size of the network; the defaults are the official ones at 100 tokens per second.

        Attributes:
            in_channels: channels of the latent.
            base_channels: channels of level 0, even.
            channel_multipliers: channels of each level over `base_channels`.
            num_res_blocks: residual blocks per level on the way down (one more on the way up).
            attention_levels: levels with transformers; the middle always has them.
            head_width: width of an attention head.
            context_width: width of the context: 1728, 3264, 6336 at 100, 50, 25 tokens per second.
            num_groups: groups of every group normalization.
            latent_frames: frames T of a whole window.
            latent_bins: frequencies F of the latent.
            frequency_positions: add a learned vector per latent frequency after the input
                convolution (not official).
            aligned_condition: whether the context is also added to the features at its positions
                (not official, see `AlignedProjection`).
            aligned_grid: (time, bands) positions of a whole window: (64, 8), (64, 4) or (32, 4)
                at 100, 50, 25 tokens per second.
            aligned_cells: let every position predict each latent cell of its patch on its own
                at the levels that are finer than the grid, instead of repeating one vector.
            context_transformer: size of a transformer over the context whose features join it
                (not official, see `ContextTransformer`); None does without. With an aligned
                condition a linear map of both is added to the velocity, too: what the
                transformer knows already need not pass through the network.
        """

        in_channels: int = 8
        base_channels: int = 64
        channel_multipliers: tuple[int, ...] = (1, 2, 3, 5)
        num_res_blocks: int = 2
        attention_levels: tuple[int, ...] = (1, 2, 3)
        head_width: int = 32
        context_width: int = 1728
        num_groups: int = 32
        latent_frames: int = 256
        latent_bins: int = 16
        frequency_positions: bool = False
        aligned_condition: bool = False
        aligned_grid: tuple[int, int] = (64, 8)
        aligned_cells: bool = False
        context_transformer: ContextTransformer.Config | None = None

        @property
        def extended_width(self) -> int:
            """Width of the context with the features of its transformer."""
            added = self.context_transformer
            return self.context_width + (0 if added is None else added.width)

        @property
        def level_channels(self) -> tuple[int, ...]:
            """Channels of each level."""
            return tuple(self.base_channels * factor for factor in self.channel_multipliers)

        @property
        def embedding_width(self) -> int:
            """Width of the timestep embedding inside the network."""
            return 4 * self.base_channels

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        base, width = config.base_channels, config.embedding_width
        self.embed_timestep = nn.Sequential(
            nn.Linear(base, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.input_conv = nn.Conv2d(config.in_channels, config.level_channels[0], 3, padding=1)
        self.frequency_positions = None
        if config.frequency_positions:
            shape = (1, config.level_channels[0], 1, config.latent_bins)
            self.frequency_positions = nn.Parameter(0.02 * torch.randn(shape))
        self.context_transformer = None
        if config.context_transformer is not None:
            self.context_transformer = ContextTransformer(
                config.context_transformer, config.context_width
            )
        self.aligned = nn.ModuleList(_aligned_projections(config))
        self.output_from_context: BandedProjection | None = None
        if self.context_transformer is not None and config.aligned_condition:
            (_, num_bands), cells = config.aligned_grid, _cells(config, level=0)
            self.output_from_context = BandedProjection(
                config.extended_width, config.in_channels, num_bands, cells
            )
        self.down_levels = nn.ModuleList(_down_levels(config))
        self.middle = Middle(config)
        self.up_levels = nn.ModuleList(_up_levels(config))
        self.output_norm = group_norm(config.level_channels[0], config.num_groups, eps=1e-5)
        output_conv = nn.Conv2d(config.level_channels[0], config.in_channels, 3, padding=1)
        self.output_conv = zero_init(output_conv)
        self.silu = nn.SiLU()

    def prepare_context(self, context: Float[Tensor, "B L E"]) -> PreparedContext:
        """Return what the network needs of a context, to reuse it over diffusion steps.

        Args:
            context: condition of the window; with `aligned_condition` its rows cover exactly
                the frames of the latent.
        Raises:
            CodesError: the width or, for an aligned condition, the number of rows does not fit.
        """
        num_positions, context_width = context.shape[1:]
        if context_width != self.config.context_width:
            raise CodesError(
                f"The context is {context_width} wide, this T-UNet needs "
                f"{self.config.context_width}: use the condition of the same model."
            )
        context = context.to(self.input_conv.weight.dtype)
        if self.context_transformer is not None:
            context = torch.cat([context, self.context_transformer(context)], dim=2)
        transformers = [
            module
            for part in (self.down_levels, self.middle, self.up_levels)
            for module in part.modules()
            if isinstance(module, SpatialTransformer) and module.has_context
        ]
        aligned = [
            projection(context, self._level_size(num_positions, level))
            for level, projection in enumerate(self.aligned)
        ]
        if self.output_from_context is not None:
            aligned.append(self.output_from_context(context))
        keys_values = (layer.keys_values(context) for layer in transformers)
        return PreparedContext(tuple(keys_values), tuple(aligned))

    def forward(
        self,
        latent: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
        context: Float[Tensor, "B L E"] | PreparedContext,
    ) -> Float[Tensor, "B C T F"]:
        """Return the predicted velocity.

        Args:
            latent: noisy latent; T and F are multiples of 2^(levels - 1), T may be shorter than
                a window.
            timestep: diffusion step of each item.
            context: condition of the window, or the result of `prepare_context`.
        Returns:
            Velocity v_θ(z_n, n, E), in the precision of the weights.
        Raises:
            CodesError: latent and context do not fit each other.
            ConfigError: the latent does not fit the network.
        """
        prepared = (
            context if isinstance(context, PreparedContext) else self.prepare_context(context)
        )
        self._check_latent(latent, prepared)
        keys_values = iter(prepared.keys_values)
        dtype = self.input_conv.weight.dtype
        waves = timestep_embedding(timestep, self.config.base_channels)
        embedding = self.embed_timestep(waves.to(dtype))
        features = self.input_conv(latent.to(dtype))
        if self.frequency_positions is not None:
            features = features + self.frequency_positions

        skips: list[Tensor] = []
        for level, down_level in enumerate(self.down_levels):
            if prepared.aligned:
                features = features + prepared.aligned[level]
            features = down_level(features, embedding, keys_values, skips)
        features = self.middle(features, embedding, keys_values)
        for up_level in self.up_levels:
            features = up_level(features, embedding, keys_values, skips)
        velocity = self.output_conv(self.silu(self.output_norm(features)))
        return velocity if self.output_from_context is None else velocity + prepared.aligned[-1]

    def _level_size(self, num_positions: int, level: int) -> tuple[int, int]:
        """Return frames and bins of a level for an aligned context of that many rows."""
        grid_time, num_bands = self.config.aligned_grid
        if num_positions % num_bands:
            raise CodesError(
                f"{num_positions} positions do not fill rows of {num_bands} bands: "
                "give whole time steps."
            )
        frames = num_positions // num_bands * (self.config.latent_frames // grid_time)
        return frames >> level, self.config.latent_bins >> level

    def _check_latent(self, latent: Float[Tensor, "B C T F"], prepared: PreparedContext) -> None:
        num_frames, num_bins = latent.shape[2:]
        multiple = 2 ** (len(self.config.channel_multipliers) - 1)
        if num_frames % multiple or num_bins % multiple:
            raise ConfigError(
                f"A latent of {num_frames} frames × {num_bins} bins cannot be halved "
                f"{len(self.config.channel_multipliers) - 1} times: "
                f"pad both to multiples of {multiple}."
            )
        if self.frequency_positions is not None and num_bins != self.config.latent_bins:
            raise ConfigError(
                f"A latent of {num_bins} bins does not fit the {self.config.latent_bins} "
                "of this network."
            )
        if prepared.aligned and prepared.aligned[0].shape[2:] != latent.shape[2:]:
            raise CodesError(
                f"The context covers {tuple(prepared.aligned[0].shape[2:])} frames × bins, the "
                f"latent has {(num_frames, num_bins)}: give one row per position of the latent."
            )


class TUNetBlock(nn.Module):
    """A residual block, on attention levels followed by the self and the cross transformer.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        config: sizes that all blocks share.
        has_attention: whether the transformers follow.
    """

    def __init__(
        self, in_channels: int, out_channels: int, config: TUNet.Config, has_attention: bool
    ) -> None:
        super().__init__()
        groups = config.num_groups
        self.residual = ResidualBlock(in_channels, out_channels, config.embedding_width, groups)
        self.has_attention = has_attention
        if has_attention:
            self.self_transformer = SpatialTransformer(
                out_channels, config.head_width, num_groups=groups
            )
            self.cross_transformer = SpatialTransformer(
                out_channels, config.head_width, config.extended_width, groups
            )

    def forward(
        self,
        features: Float[Tensor, "B C T F"],
        embedding: Float[Tensor, "B D"],
        keys_values: Iterator[KeysValues],
    ) -> Float[Tensor, "B C2 T F"]:
        """Return the features after the block.

        Args:
            features: input of the block.
            embedding: timestep embedding.
            keys_values: those of the cross-attentions still to come; a block with attention
                takes the next.
        """
        features = self.residual(features, embedding)
        if not self.has_attention:
            return features
        return self.cross_transformer(self.self_transformer(features), next(keys_values))


class DownLevel(nn.Module):
    """The blocks of a level on the way down, then half the resolution except on the last.

    Args:
        blocks: the blocks, in order.
        downsample: the way to the next level, None on the last.
    """

    def __init__(self, blocks: list[TUNetBlock], downsample: Downsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(
        self,
        features: Float[Tensor, "B C T F"],
        embedding: Float[Tensor, "B D"],
        keys_values: Iterator[KeysValues],
        skips: list[Tensor],
    ) -> Float[Tensor, "B C2 T2 F2"]:
        """Return the entrance of the next level; push entrance and block outputs to `skips`."""
        skips.append(features)
        for block in self.blocks:
            features = block(features, embedding, keys_values)
            skips.append(features)
        return features if self.downsample is None else self.downsample(features)


class Middle(nn.Module):
    """The lowest resolution: a block with attention and a residual block."""

    def __init__(self, config: TUNet.Config) -> None:
        super().__init__()
        channels = config.level_channels[-1]
        self.first = TUNetBlock(channels, channels, config, has_attention=True)
        self.last = TUNetBlock(channels, channels, config, has_attention=False)

    def forward(
        self,
        features: Float[Tensor, "B C T F"],
        embedding: Float[Tensor, "B D"],
        keys_values: Iterator[KeysValues],
    ) -> Float[Tensor, "B C T F"]:
        """Return the features after both blocks."""
        return self.last(self.first(features, embedding, keys_values), embedding, keys_values)


class UpLevel(nn.Module):
    """The blocks of a level on the way up, then twice the resolution except on level 0.

    Args:
        blocks: the blocks, in order.
        upsample: the way to the next level, None on level 0.
    """

    def __init__(self, blocks: list[TUNetBlock], upsample: Upsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.upsample = upsample

    def forward(
        self,
        features: Float[Tensor, "B C T F"],
        embedding: Float[Tensor, "B D"],
        keys_values: Iterator[KeysValues],
        skips: list[Tensor],
    ) -> Float[Tensor, "B C2 T2 F2"]:
        """Return the entrance of the next level; each block takes the last of `skips`."""
        for block in self.blocks:
            features = block(torch.cat([features, skips.pop()], dim=1), embedding, keys_values)
        return features if self.upsample is None else self.upsample(features)


def _down_levels(config: TUNet.Config) -> Iterator[DownLevel]:
    channels = config.level_channels[0]
    last = len(config.level_channels) - 1
    for level, level_channels in enumerate(config.level_channels):
        has_attention = level in config.attention_levels
        blocks = []
        for _ in range(config.num_res_blocks):
            blocks.append(TUNetBlock(channels, level_channels, config, has_attention))
            channels = level_channels
        yield DownLevel(blocks, Downsample(channels) if level < last else None)


def _up_levels(config: TUNet.Config) -> Iterator[UpLevel]:
    channels = config.level_channels[-1]
    for level in reversed(range(len(config.level_channels))):
        level_channels = config.level_channels[level]
        # The entrance of a level has the channels of the level above it.
        entrance_channels = config.level_channels[max(level - 1, 0)]
        skips = [level_channels] * config.num_res_blocks + [entrance_channels]
        blocks = []
        for skip_channels in skips:
            has_attention = level in config.attention_levels
            blocks.append(
                TUNetBlock(channels + skip_channels, level_channels, config, has_attention)
            )
            channels = level_channels
        yield UpLevel(blocks, Upsample(channels) if level > 0 else None)


def _aligned_projections(config: TUNet.Config) -> Iterator[AlignedProjection]:
    """Yield one projection per level, as wide as the entrance of the level."""
    if not config.aligned_condition:
        return
    (grid_time, num_bands), size = config.aligned_grid, (config.latent_frames, config.latent_bins)
    if size[0] % grid_time or size[1] % num_bands:
        raise ConfigError(
            f"A grid of {grid_time} × {num_bands} positions does not divide a latent of "
            f"{size[0]} × {size[1]}: choose aligned_grid so that it does."
        )
    for level in range(len(config.level_channels)):
        channels = config.level_channels[max(level - 1, 0)]
        cells = _cells(config, level) if config.aligned_cells else (1, 1)
        yield AlignedProjection(config.extended_width, channels, num_bands, cells)


def _cells(config: TUNet.Config, level: int) -> tuple[int, int]:
    """Return frames and bins of a position on a level, at least 1."""
    grid_time, num_bands = config.aligned_grid
    frames, bins = config.latent_frames // grid_time, config.latent_bins // num_bands
    return max(frames >> level, 1), max(bins >> level, 1)
