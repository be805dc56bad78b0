"""The condition of the T-UNet: quantized features of a window with a code of their position.

    acoustic  B L D ─┐
    semantic  B L D ─┼─ join ─→ context  B L E,  E = 2 D + position width
    positions   L   ─┘

Two additions that are not official. Stacked positions can be taken apart into their patches first.
The T-UNet then sees the same grid at every token rate, and one T-UNet serves them all. And what
the codes tell of the mel can be joined to the context, see `ToldEnergies`.

Shapes: B batch · L positions · D width of one stream · E width of the context · C channels ·
T frames · F latent frequency.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import CodesError
from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.embeddings import position_code
from semanticodec.layers.stacking import PADDING_VALUE, unstack_patches
from semanticodec.layers.told_energies import ToldEnergies


class Condition(nn.Module):
    """Joins acoustic features, semantic features and position codes into one context.

    The acoustic features come first. The paper writes E = [E_s, E_a] (Eq. 5), the released
    weights expect [E_a, E_s]; this class alone fixes the order.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes of the condition.

        Attributes:
            width: width of one feature stream in the context, 768 · stack factor officially.
            position_width: width of the position code, even.
            max_positions: most rows of a context, 512 at 100 tokens per second.
            unstacks: patches that each given position is taken apart into, 1 or the stack
                factor; the features
                are then as many times wider than `width`, and the context as many times longer.
        """

        width: int = 768
        position_width: int = 192
        max_positions: int = 512
        unstacks: int = 1
        told: ToldEnergies.Config | None = None

        @property
        def told_width(self) -> int:
            """Width of what the codes tell."""
            return 0 if self.told is None else self.told.num_cells

        @property
        def stream_widths(self) -> tuple[int, int, int, int]:
            """Widths of what a context joins: acoustic, semantic, positions, told."""
            return self.width, self.width, self.position_width, self.told_width

        @property
        def context_width(self) -> int:
            """Width E of the context."""
            return sum(self.stream_widths)

    positions: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        # Computed, not loaded: it needs real memory even where weights are built without.
        cpu = torch.device("cpu")
        code = position_code(config.max_positions, config.position_width, device=cpu)
        self.register_buffer("positions", code, persistent=False)
        self.told = None if config.told is None else ToldEnergies(config.told)

    def forward(
        self,
        acoustic: Float[Tensor, "B L D"],
        semantic: Float[Tensor, "B L D"],
        num_positions: int,
        first_rows: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B L2 E"]:
        """Return the context of a window.

        Args:
            acoustic: quantized acoustic features.
            semantic: quantized semantic features, same shape.
            num_positions: positions of the window (512 / stack factor in a whole one); those after
                the given features are filled with -1 before the position codes are joined.
            first_rows: rows of the window before each item, for pieces of windows in training;
                None where items start with their window.
        Returns:
            Context [acoustic, semantic, positions, told], `unstacks` rows per position.
        Raises:
            CodesError: more features than `num_positions`, or a window that is too long.
        """
        streams = self.streams(acoustic, semantic, num_positions)
        context = self._join_positions(torch.cat(streams, dim=2), first_rows)
        return context if self.told is None else torch.cat([context, self.told(*streams)], dim=2)

    def streams(
        self,
        acoustic: Float[Tensor, "B L D"],
        semantic: Float[Tensor, "B L D"],
        num_positions: int,
    ) -> tuple[Float[Tensor, "B L2 D2"], Float[Tensor, "B L2 D2"]]:
        """Return features as a context joins them: filled up, and taken apart.

        Args:
            acoustic: quantized acoustic features.
            semantic: quantized semantic features, same shape.
            num_positions: positions of the window.
        Raises:
            CodesError: more features than `num_positions`.
        """
        num_given = acoustic.shape[1]
        if num_given > num_positions:
            raise CodesError(
                f"{num_given} positions do not fit a window of {num_positions}: "
                "split the codes into windows first."
            )
        missing = (0, 0, 0, num_positions - num_given)
        filled = (F.pad(stream, missing, value=PADDING_VALUE) for stream in (acoustic, semantic))
        return self._unstacked(next(filled)), self._unstacked(next(filled))

    def unconditional(self, batch_size: int, num_positions: int) -> Float[Tensor, "B L E"]:
        """Return the context that stands for no condition: zeros with position codes.

        Args:
            batch_size: number of items B.
            num_positions: rows of the context.
        Raises:
            CodesError: a window that is too long.
        """
        features = self.positions.new_zeros(batch_size, num_positions, 2 * self.config.width)
        told = features.new_zeros(batch_size, num_positions, self.config.told_width)
        return torch.cat([self._join_positions(features), told], dim=2)

    def _unstacked(self, stream: Float[Tensor, "B L D"]) -> Float[Tensor, "B L2 D2"]:
        unstacks = self.config.unstacks
        return stream if unstacks == 1 else unstack_patches(stream, unstacks)

    def _join_positions(
        self, features: Float[Tensor, "B L D"], first_rows: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B L E"]:
        batch_size, num_positions, _ = features.shape
        if num_positions > self.config.max_positions:
            raise CodesError(
                f"A window of {num_positions} positions is longer than the "
                f"{self.config.max_positions} of this model: split the codes into windows first."
            )
        if first_rows is None:
            positions = self.positions[:num_positions].expand(batch_size, -1, -1)
        else:
            rows = first_rows.unsqueeze(1) + torch.arange(num_positions, device=first_rows.device)
            positions = self.positions[rows]
        return torch.cat([features, positions.to(features.dtype)], dim=2)


class AlignedProjection(nn.Module):
    """Lays a context out on its grid of time × frequency and maps it onto a feature map.

    Positions are patches of the spectrogram, so each one belongs to a known rectangle of the
    latent. A small network need not discover that through cross-attention. An addition of this
    project: not in the paper, not in the release.

    Args:
        context_width: width of the context.
        channels: channels of the feature map.
        num_bands: frequency positions of the grid.
        cells: (frames, bins) that each position predicts on its own; (1, 1) gives all cells of
            its rectangle the same vector.
    """

    def __init__(
        self, context_width: int, channels: int, num_bands: int, cells: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_bands = num_bands
        self.cells = cells
        self.projection = nn.Linear(context_width, channels * cells[0] * cells[1])

    def forward(
        self, context: Float[Tensor, "B L E"], size: tuple[int, int]
    ) -> Float[Tensor, "B C T F"]:
        """Return the projected context, resized to a feature map.

        Args:
            context: one row per position, time-major; L is a multiple of the bands.
            size: frames and bins of the feature map.
        Returns:
            Map in which larger sizes repeat a value and smaller ones average.
        """
        grid = self.projection(context).unflatten(1, (-1, self.num_bands))
        plane = _laid_out(grid.unflatten(3, (self.channels, *self.cells)))
        # Area averaging over less than one cell is repetition, so it serves both directions.
        return F.interpolate(plane, size=size, mode="area")


class BandedProjection(nn.Module):
    """An aligned projection whose positions have a linear map for each band; zero at first.

    What a code means for the spectrogram differs from band to band. Not in the paper, not in the
    release.

    Args:
        context_width: width of the context.
        channels: channels of the feature map.
        num_bands: frequency positions of the grid.
        cells: (frames, bins) of the map that each position predicts.
    """

    def __init__(
        self, context_width: int, channels: int, num_bands: int, cells: tuple[int, int]
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_bands = num_bands
        self.cells = cells
        self.projection = BandedLinear(num_bands, context_width, channels * cells[0] * cells[1])

    def forward(self, context: Float[Tensor, "B L E"]) -> Float[Tensor, "B C T F"]:
        """Return the feature map of a context of whole columns, time-major."""
        grid = self.projection(context).unflatten(1, (-1, self.num_bands))
        return _laid_out(grid.unflatten(3, (self.channels, *self.cells)))

    def rows(self, plane: Float[Tensor, "B C T F"]) -> Float[Tensor, "B L P"]:
        """Return what every position predicts of a feature map, in the order of positions."""
        rows, columns = self.cells
        cells = plane.unflatten(3, (-1, columns)).unflatten(2, (-1, rows))
        # B C time rows bands columns -> B time bands C rows columns -> B L P
        return cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def _laid_out(
    cells: Float[Tensor, "B _time _bands C _rows _columns"],
) -> Float[Tensor, "B C T F"]:
    """Return the map of what the positions of a grid predict of their rectangles."""
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
