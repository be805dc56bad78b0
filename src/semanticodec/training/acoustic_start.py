"""Where an acoustic encoder that sees patches starts: in closed form.

mel cells of a position -> less the regression on what semantic codes tell     = untold
[told, features - centroid, surroundings] -> regression on that, low rank      (`reduce`, `cells`)
untold, weighted -> level and detail -> principal axes                         (`axes`)

The codes of this start carry detail from the first step. An encoder that starts elsewhere learns
to carry it late or never: a squared error spends all bits on the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.detail import split_detail
from semanticodec.audio.mel import HOP_LENGTH
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.encoder.untold_energies import BINS_PER_CELL, UntoldEnergies
from semanticodec.token_format import PATCH_SAMPLES
from semanticodec.training.regression import centered, linear_map

# How much detail counts beside the level. At 1 it goes under, at 10 it takes the bits that words
# need (docs/log.md, "Cells that are heard").
DETAIL_GAIN = 1.4
NUM_AXES = 48
FRAMES_PER_PATCH = PATCH_SAMPLES // HOP_LENGTH
# Positions whose loudest cell counts less say nothing of what is heard.
LEAST_AUDIBLE = 0.25
RIDGE = 1e-3
# Surroundings are much alike, and stacked positions have thousands of inputs.
MAP_RIDGE = 1e-2


class Window(NamedTuple):
    """A window as the encoder sees it, and what its codes shall tell.

    Attributes:
        features: stacked features.
        centroids: their semantic centroids.
        patches: energies of the positions' patches.
        valid: True where a position lies before the end of the audio.
        mel: log energies or amplitudes of the window or more, half as many bins as the filter bank.
    """

    features: Float[Tensor, "1 L D"]
    centroids: Float[Tensor, "1 L D"]
    patches: Float[Tensor, "1 L P"]
    valid: Bool[Tensor, "1 L"]
    mel: Float[Tensor, "1 T M"]


class _Positions(NamedTuple):
    """What a window's positions, or those of many windows, say that are heard.

    Attributes:
        told: what semantic codes tell, see `UntoldEnergies.told`.
        beside: the other inputs of the map.
        weights: of the cells.
        cells: of the mel.
        bands: number of the position's place on the frequency axis.
    """

    told: Float[Tensor, "N E"]
    beside: Float[Tensor, "N S"]
    weights: Float[Tensor, "N C"]
    cells: Float[Tensor, "N C"]
    bands: Int[Tensor, " N"]


def spectrogram_patches(
    spectrogram: Float[Tensor, "B T M"], num_bands: int
) -> Float[Tensor, "B L P"]:
    """Return patches of 0.16 s and a band in the order of positions (K = 1)."""
    columns = spectrogram.unflatten(2, (num_bands, -1)).unflatten(1, (-1, FRAMES_PER_PATCH))
    return columns.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def pair_bins(fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B T M2"]:
    """Return the mean of bins two by two: what stands for a mel where there is none."""
    return F.avg_pool1d(fbank, BINS_PER_CELL)


@torch.no_grad()
def start_from_patches(acoustic: AcousticEncoder, windows: Sequence[Window]) -> None:
    """Start the untold energies of an acoustic encoder, whose LSTM joins in from zero.

    Args:
        acoustic: an encoder that sees patches.
        windows: many windows.
    Source: docs/log.md, "Cells that are heard".
    """
    residual = acoustic.residual
    assert isinstance(residual, UntoldEnergies)
    centroids = torch.cat([window.centroids[window.valid] for window in windows])
    axes, _, _ = principal_axes(centroids, residual.config.centroid_width)
    residual.centroid_axes.weight[:] = axes
    rows = _gather(_positions(residual, window) for window in windows)
    for band in range(residual.config.num_bands):
        _start_band(residual, rows, band)
    _start_axes(residual, rows)
    _scale(residual, windows)


def _positions(residual: UntoldEnergies, window: Window) -> _Positions:
    fbank = residual.fbank(window.patches)
    inputs = residual.inputs(window.features, window.centroids, fbank)
    weights = residual.weights(fbank)
    bands = torch.arange(inputs.shape[1], device=inputs.device) % residual.config.num_bands
    told_width = residual.told(window.centroids[:, : residual.config.num_bands]).shape[2]
    is_heard = window.valid[0] & (weights[0].amax(dim=1) >= LEAST_AUDIBLE)
    return _Positions(
        told=inputs[0, is_heard, :told_width],
        beside=inputs[0, is_heard, told_width:],
        weights=weights[0, is_heard],
        cells=residual.positions(window.mel[:, : fbank.shape[1]])[0, is_heard],
        bands=bands[is_heard],
    )


def _gather(parts: Iterable[_Positions]) -> _Positions:
    return _Positions(*(torch.cat(columns) for columns in zip(*parts)))


def _start_band(residual: UntoldEnergies, rows: _Positions, band: int) -> None:
    """Start the map of a band at the best one of its rank; rows' cells become those left over."""
    here = rows.bands == band
    told, cells = rows.told[here], rows.cells[here]
    known = centered(told) @ linear_map(told, cells, RIDGE)
    cells = centered(cells) - known
    inputs = torch.cat([told, rows.beside[here]], dim=1)
    weight = linear_map(inputs, cells, MAP_RIDGE)
    found = centered(inputs) @ weight
    rank = residual.reduce.weight.shape[2]
    directions, _, _ = principal_axes(found, min(rank, found.shape[1]))
    directions = directions.to(weight)
    residual.reduce.weight[band, :, : len(directions)] = weight @ directions.T
    residual.cells.weight[band, : len(directions)] = directions
    assert residual.cells.bias is not None
    residual.cells.bias[band] = -inputs.mean(dim=0) @ weight @ directions.T @ directions
    rows.cells[here] = found @ directions.T @ directions


def _start_axes(residual: UntoldEnergies, rows: _Positions) -> None:
    """Start the last map at the axes along which level and detail of heard cells vary most."""
    size = residual.config.patch_size
    one = torch.eye(residual.config.num_cells, dtype=rows.cells.dtype, device=rows.cells.device)
    patches = one.unflatten(1, (-1, size // BINS_PER_CELL))
    level, detail = (part.flatten(1) for part in split_detail(patches))
    parts = torch.cat([level, DETAIL_GAIN * detail], dim=1)
    heard = rows.cells * rows.weights @ parts
    axes, _, _ = principal_axes(heard, residual.config.out_width)
    residual.axes.weight[:] = axes.to(parts) @ parts.T


def _scale(residual: UntoldEnergies, windows: Sequence[Window]) -> None:
    """Make vectors as large as the differences that the paper's form starts from."""
    vectors, differences = [], []
    for window in windows:
        given = window.features, window.centroids
        vectors.append(residual(*given, window.patches)[window.valid])
        differences.append((given[0] - given[1])[window.valid])
    size, wanted = (centered(torch.cat(part)).norm() for part in (vectors, differences))
    residual.axes.weight.mul_(wanted / size.clamp_min(1e-12))
