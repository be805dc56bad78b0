"""Where an acoustic encoder that sees the mel starts: in closed form.

semantic centroids around a patch -> regression of the mel's cells of each band    (`told`)
cells less that, weighted, level and detail -> principal axes            (`axes`, `spread`)
vectors of both codes around a patch -> regression of the cells     (`told` of the condition)

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
from semanticodec.training.regression import fit_bands, heard, mean_row

# How much detail counts beside the level. At 1 it goes under, at 10 it takes the bits that words
# need (docs/log.md, "Cells that are heard").
DETAIL_GAIN = 1.4
NUM_AXES = 48
# Positions whose loudest cell counts less say nothing of what is heard.
LEAST_AUDIBLE = 0.25
# Told cells less their mean then have the variance of a semantic centroid.
SHOWN_SCALE = 0.25


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


class KnownPatches(NamedTuple):
    """What is known of the patches of a window, at any token rate.

    Attributes:
        vectors: those of the patches, see `ToldEnergies.patches`.
        valid: True where a patch lies before the end of the audio.
        mel: log-mel spectrogram.
    """

    vectors: Float[Tensor, "1 P D"]
    valid: Bool[Tensor, " P"]
    mel: Float[Tensor, "1 T M"]


@torch.no_grad()
def start_told(maps: Sequence[ToldEnergies], windows: Sequence[Sequence[Window]]) -> None:
    """Start what semantic codes tell: patches mean the same at every rate, so that one map does.

    Args:
        maps: those of the token rates, each of its own stack factor.
        windows: many windows of every token rate.
    """
    first, *others = maps
    known = [
        KnownPatches(
            told.patches(window.centroids),
            valid_patches(window.valid, told.config.stack_factor, told.config.patch_bands),
            window.mel,
        )
        for told, given in zip(maps, windows, strict=True)
        for window in given
    ]
    _fit(first, known)
    for other in others:
        other.load_state_dict(first.state_dict())


@torch.no_grad()
def start_shown(shown: ToldEnergies, known: Sequence[KnownPatches]) -> None:
    """Start what a condition shows the decoder of the mel.

    It is centered, and about as large as what else a condition holds: log amplitudes as they are
    would drown it.

    Args:
        shown: the map.
        known: acoustic vectors and centroids of many windows.
    """
    means = _fit(shown, known)
    assert shown.cells.bias is not None
    shown.cells.bias.sub_(means).mul_(SHOWN_SCALE)
    shown.cells.weight.mul_(SHOWN_SCALE)


def _fit(told: ToldEnergies, known: Sequence[KnownPatches]) -> Float[Tensor, "N C"]:
    """Fit a map to patches; return the mean cells of each band."""
    num_bands = told.config.patch_bands
    is_valid = torch.cat([patches.valid for patches in known])
    vectors = torch.cat([patches.vectors for patches in known], dim=1)
    axes, _, _ = principal_axes(vectors[0, is_valid], told.config.neighbor_width)
    told.neighbor_axes.weight[:] = axes
    rows = torch.cat([told.surroundings(patches.vectors)[0] for patches in known])
    bands = torch.arange(len(rows), device=rows.device) % num_bands
    bins = known[0].mel.shape[2] // num_bands
    cells = torch.cat([cut_patches(each.mel, FRAMES_PER_PATCH, bins)[0] for each in known])
    weights = torch.cat([heard(patches.mel, num_bands) for patches in known])
    fit_bands(told.cells, *(values[is_valid] for values in (rows, cells, bands, weights)))
    of_bands = [is_valid & (bands == band) for band in range(num_bands)]
    return torch.stack([mean_row(cells[here], weights[here]) for here in of_bands])


def valid_patches(
    valid: Bool[Tensor, "1 L"], stack_factor: int, num_bands: int
) -> Bool[Tensor, " P"]:
    """Return which patches belong to positions.

    Args:
        valid: True for the positions.
        stack_factor: K, how many patches a position joins.
        num_bands: patches of a column.
    """
    of_patches = valid.float().unsqueeze(2).expand(-1, -1, stack_factor)
    return unstack_patches(of_patches, stack_factor, num_bands)[0, :, 0] > 0


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
