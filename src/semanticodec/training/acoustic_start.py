"""Where an acoustic encoder that sees the mel starts: in closed form.

what semantic codes tell -> regression of the mel's cells of each band on it  (`tell`)
cells less that, weighted, level and detail -> principal axes           (`axes`, `spread`)

The codes of this start carry detail from the first step. An encoder that starts elsewhere learns
to carry it late or never: a squared error spends all bits on the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.encoder.untold_energies import UntoldEnergies
from semanticodec.training.regression import fit_bands

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


class _Positions(NamedTuple):
    """Positions of windows that are heard.

    Attributes:
        told: what semantic codes tell, see `UntoldEnergies.told`.
        cells: of the mel.
        weights: of the cells.
        bands: number of the position's place on the frequency axis.
    """

    told: Float[Tensor, "N E"]
    cells: Float[Tensor, "N C"]
    weights: Float[Tensor, "N C"]
    bands: Int[Tensor, " N"]


@torch.no_grad()
def start_from_mel(acoustic: AcousticEncoder, windows: Sequence[Window]) -> None:
    """Start the untold energies of an acoustic encoder, whose LSTM joins in from zero.

    Args:
        acoustic: an encoder that sees the mel.
        windows: many windows.
    Source: docs/log.md, "Cells that are heard".
    """
    residual = acoustic.residual
    assert isinstance(residual, UntoldEnergies)
    centroids = torch.cat([window.centroids[window.valid] for window in windows])
    axes, _, _ = principal_axes(centroids, residual.config.centroid_width)
    residual.centroid_axes.weight[:] = axes
    rows = _gather(_positions(residual, window) for window in windows)
    fit_bands(residual.tell, rows.told, rows.cells, rows.bands, rows.weights.mean(dim=1).square())
    _start_axes(residual, rows)


def _positions(residual: UntoldEnergies, window: Window) -> _Positions:
    told, weights = residual.told(window.centroids), residual.weights(window.mel)
    bands = torch.arange(told.shape[1], device=told.device) % residual.config.num_bands
    is_heard = window.valid[0] & (weights[0].amax(dim=1) >= LEAST_AUDIBLE)
    cells = residual.positions(window.mel)
    return _Positions(told[0, is_heard], cells[0, is_heard], weights[0, is_heard], bands[is_heard])


def _gather(parts: Iterable[_Positions]) -> _Positions:
    return _Positions(*(torch.cat(columns) for columns in zip(*parts)))


def _start_axes(residual: UntoldEnergies, rows: _Positions) -> None:
    """Start the other maps at the axes along which level and detail of heard cells vary most."""
    untold = rows.cells.clone()
    for band in range(residual.config.num_bands):
        here = rows.bands == band
        untold[here] -= residual.tell.of_band(rows.told[here], band)
    measure = _measure(residual.config).to(untold)
    axes, _, _ = principal_axes(untold * rows.weights @ measure, residual.config.num_axes)
    residual.axes.weight[:] = axes.to(measure) @ measure
    residual.spread.weight[:] = axes.T


def _measure(config: UntoldEnergies.Config) -> Float[Tensor, "C C"]:
    """Return a map of cells after which distances count level and detail as they shall."""
    one = torch.eye(config.num_cells, dtype=torch.float64)
    patches = one.unflatten(1, (-1, config.bins_per_patch))
    level, detail = (part.flatten(1) for part in split_detail(patches))
    energies, directions = torch.linalg.eigh(level @ level.T + DETAIL_GAIN**2 * detail @ detail.T)
    return directions * energies.clamp_min(0).sqrt() @ directions.T
