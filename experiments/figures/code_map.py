"""Maps of the codes: which bands use which of them, and when a recording uses rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer

from experiments.figures.style import new_figure
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semanticodec import Codes

STREAMS = ("semantic", "acoustic")
MAX_COLUMNS = 63  # about 10 s at 100 tokens per second


@dataclass(frozen=True, kw_only=True)
class StreamMap:
    """How the bands share one codebook.

    Attributes:
        counts: uses of every code by every band.
    """

    counts: Integer[np.ndarray, "bands K"]

    @property
    def used(self) -> Integer[np.ndarray, " N"]:
        """Codes that are used, from those of the lowest to those of the highest bands."""
        total = self.counts.sum(axis=0)
        codes = np.flatnonzero(total)
        bands = np.arange(len(self.counts))
        center = bands @ self.counts[:, codes] / total[codes]
        return codes[np.argsort(center, kind="stable")]

    @property
    def share_of_one_band(self) -> float:
        """Share of the uses that are by codes which a single band uses, of codes used twice."""
        total = self.counts.sum(axis=0)
        repeated = total > 1
        is_of_one = (self.counts > 0).sum(axis=0) == 1
        return float(total[repeated & is_of_one].sum() / max(total[repeated].sum(), 1))


def map_of(
    streams: Sequence[Integer[np.ndarray, " _L"]], codebook_size: int, num_bands: int
) -> StreamMap:
    """Count the uses of every code by every band.

    Args:
        streams: codes of every recording, time-major.
        codebook_size: K.
        num_bands: positions of one time step.
    """
    counts = np.zeros((num_bands, codebook_size), dtype=np.int64)
    for stream in streams:
        np.add.at(counts, (np.arange(len(stream)) % num_bands, stream), 1)
    return StreamMap(counts=counts)


def draw_code_maps(items: Sequence[Codes], example: Codes, title: str) -> Figure:
    """Return the picture: bands over codes for both streams, and an example over time.

    Args:
        items: codes of every recording.
        example: codes of the recording that is drawn over time.
        title: what was counted.
    """
    num_bands = example.format.positions_per_column
    figure = new_figure(11.0, 9.0)
    figure.suptitle(title, parse_math=False)
    panels: Any = figure.subplots(4, 1)
    for number, name in enumerate(STREAMS):
        streams = [getattr(codes, name)[0].numpy() for codes in items]
        size = getattr(example, f"{name}_vocab_size")
        found = map_of(streams, size, num_bands)
        _draw_bands(panels[number], found, name, size)
        _draw_times(
            panels[2 + number], getattr(example, name)[0].numpy(), found, name, example, num_bands
        )
    return figure


def _draw_bands(panel: Axes, found: StreamMap, name: str, size: int) -> None:
    used = found.used
    uses = np.log2(1 + _gathered(found.counts[:, used]))
    image = panel.imshow(
        uses,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, len(used), 0, len(found.counts)),
        cmap="magma",
    )
    panel.figure.colorbar(image, ax=panel, label="log2(1 + uses)", pad=0.01)
    panel.set_ylabel("Band")
    panel.set_xlabel("Codes that are used, from those of low to those of high bands")
    panel.set_title(
        f"{name.capitalize()} codes: {len(used)} of {size} used; of uses of codes that come "
        f"twice or more, {100 * found.share_of_one_band:.0f} % are by codes of a single band",
        loc="left",
        fontsize=10,
    )


def _gathered(counts: Integer[np.ndarray, "bands N"]) -> Float[np.ndarray, "bands P"]:
    """Return mean uses of neighboring codes where there are more codes than a picture shows."""
    parts = np.array_split(counts, min(counts.shape[1], 1000), axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def _draw_times(
    panel: Axes,
    stream: Integer[np.ndarray, " L"],
    found: StreamMap,
    name: str,
    example: Codes,
    num_bands: int,
) -> None:
    """Draw how common the code of every position is, over time."""
    common = np.log2(1 + found.counts.sum(axis=0)[stream])
    grid = common.reshape(-1, num_bands).T[:, :MAX_COLUMNS]  # L -> bands columns
    seconds = grid.shape[1] * example.format.samples_per_column / SAMPLE_RATE
    image = panel.imshow(
        grid,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, num_bands),
        cmap="viridis",
    )
    panel.figure.colorbar(image, ax=panel, label="log2(1 + uses)", pad=0.01)
    panel.set_ylabel("Band")
    panel.set_xlabel("Time (s)")
    panel.set_title(
        f"{name.capitalize()} codes of one recording: how common each is", loc="left", fontsize=10
    )
