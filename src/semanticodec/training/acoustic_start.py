"""Where an acoustic encoder that sees the mel starts: in closed form.

semantic centroids around a patch -> regression of the mel's cells of each band    (`told`)
cells less that, weighted, level and detail -> principal axes            (`axes`, `spread`)

The codes of this start carry detail from the first step. An encoder that starts elsewhere learns
to carry it late or never: a squared error spends all bits on the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.encoder.untold_energies import FRAMES_PER_PATCH, UntoldEnergies
from semanticodec.layers.patches import cut_patches
from semanticodec.layers.stacking import unstack_patches
from semanticodec.layers.told_energies import ToldEnergies
from semanticodec.training.regression import fit_bands, heard

# How much detail counts beside the level. At 1 it goes under, at 10 it takes the bits that words
# need (docs/log.md, "Cells that are heard").
DETAIL_GAIN = 1.4
NUM_AXES = 48
# Positions whose loudest cell counts less say nothing of what is heard.
LEAST_AUDIBLE = 0.25


class Window(NamedTuple):
    """A window as the acoustic encoder sees it.

    Attributes:
        features: stacked features.
        centroids: their semantic centroids.
        valid: True where a position lies before the end of the audio.
        mel: log-mel spectrogram.
    """

    features: Float[Tensor, "1 L D"]
    centroids: Float[Tensor, "1 L D"]
    valid: Bool[Tensor, "1 L"]
    mel: Float[Tensor, "1 T M"]


@torch.no_grad()
def start_told(maps: Sequence[ToldEnergies], windows: Sequence[Sequence[Window]]) -> None:
    """Start what semantic codes tell: one map for all token rates, so that one decoder reads it.

    Args:
        maps: those of the token rates, each of its own stack factor.
        windows: many windows of every token rate.
    """
    first, *others = maps
    given = [(told, window) for told, rate in zip(maps, windows, strict=True) for window in rate]
    is_valid = torch.cat([_patches_of(window.valid, told) for told, window in given])
    patches = [told.patches(window.centroids) for told, window in given]
    axes, _, _ = principal_axes(torch.cat(patches, dim=1)[0, is_valid], first.config.neighbor_width)
    first.neighbor_axes.weight[:] = axes
    num_bands = first.config.patch_bands
    rows = torch.cat([first.surroundings(part)[0] for part in patches])
    bands = torch.arange(len(rows), device=rows.device) % num_bands
    mels = [window.mel for _, window in given]
    bins = mels[0].shape[2] // num_bands
    cells = torch.cat([cut_patches(mel, FRAMES_PER_PATCH, bins)[0] for mel in mels])
    weights = torch.cat([heard(mel, num_bands) for mel in mels])
    targets = rows, cells, bands, weights
    fit_bands(first.cells, *(values[is_valid] for values in targets))
    for other in others:
        other.load_state_dict(first.state_dict())


def _patches_of(valid: Bool[Tensor, "1 L"], told: ToldEnergies) -> Bool[Tensor, " P"]:
    """Return which patches belong to positions."""
    of_patches = valid.float().unsqueeze(2).expand(-1, -1, told.config.stack_factor)
    return (
        unstack_patches(of_patches, told.config.stack_factor, told.config.patch_bands)[0, :, 0] > 0
    )


@torch.no_grad()
def start_axes(residual: UntoldEnergies, windows: Iterable[Window]) -> None:
    """Start the axes: those along which level and detail of heard cells vary most.

    Args:
        residual: untold energies, with what is told.
        windows: many windows.
    Source: docs/log.md, "Cells that are heard".
    """
    rows = []
    for window in windows:
        is_heard = window.valid & (residual.weights(window.mel).amax(dim=2) >= LEAST_AUDIBLE)
        rows.append(residual.untold(window.centroids, window.mel)[is_heard])
    measure = _measure(residual.config).to(rows[0])
    axes, _, _ = principal_axes(torch.cat(rows) @ measure, residual.config.num_axes)
    residual.axes.weight[:] = axes.to(measure) @ measure
    residual.spread.weight[:] = axes.T


def _measure(config: UntoldEnergies.Config) -> Float[Tensor, "C C"]:
    """Return a map of cells after which distances count level and detail as they shall."""
    one = torch.eye(config.told.num_cells, dtype=torch.float64)
    patches = one.unflatten(1, (-1, config.bins_per_patch))
    level, detail = (part.flatten(1) for part in split_detail(patches))
    energies, directions = torch.linalg.eigh(level @ level.T + DETAIL_GAIN**2 * detail @ detail.T)
    return directions * energies.clamp_min(0).sqrt() @ directions.T
