"""Fits linear maps on some recordings and tests them on others, for every representation.

recordings -> windows -> fbank -> representations -> maps -> R^2 of energies and detail per band
                           '----> energies and detail of every patch
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.audio.detail import split_detail
from semanticodec.audio.fbank import Fbank, window_fbank
from semanticodec.audio.io import read_blocks
from semanticodec.audio.mel import Mel, window_mel
from semanticodec.audio.windows import encode_windows
from semanticodec.encoder.audiomae import patchify
from semanticodec.evaluation.features.regression import ExplainedVariance, LinearMaps
from semanticodec.evaluation.features.representations import Representations
from semanticodec.evaluation.suites import Clip, Suite
from semanticodec.layers.stacking import stack_patches
from semanticodec.progress import ProgressBar
from semanticodec.token_format import TokenGrid

TARGETS = ("energies", "detail")


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """What is compared.

    Attributes:
        loud_only: leave out patches that are softer than the mean of their clip.
    """

    loud_only: bool = False


class Patches(NamedTuple):
    """A window's positions and what they describe; padded positions are left out.

    Attributes:
        features: features by representation.
        targets: energies and detail of the K patches of a position, by name.
        bands: frequency bands of the positions.
    """

    features: Mapping[str, Float[Tensor, "L _D"]]
    targets: Mapping[str, Float[Tensor, "L pixels"]]
    bands: Int[Tensor, " L"]


class FeatureProbe:
    """Maps of every representation to every target, and how well they do.

    Args:
        representations: representations to probe.
        settings: settings of the comparison.
    """

    def __init__(self, representations: Representations, settings: FeatureSettings) -> None:
        self.representations = representations
        self.settings = settings
        config = representations.audiomae.config
        self.num_bands = config.num_bands
        self.grid = TokenGrid.from_stack_factor(representations.stack_factor)
        self.rows = config.num_bands // self.grid.block[1]
        self.fbank = Fbank(config.num_mel_bins)
        self.mel = Mel()
        self._maps: dict[str, LinearMaps] = {}
        self._scores: dict[tuple[str, str], ExplainedVariance] = {}

    def fit(self, clips: Iterable[Path]) -> None:
        """Fit all maps on recordings; may be called more than once before `test`."""
        for patches in self._windows(clips):
            joined = torch.cat([patches.targets[name] for name in TARGETS], dim=1)
            for name, features in patches.features.items():
                maps = self._maps.setdefault(name, LinearMaps(self.rows))
                maps.add(features, joined, patches.bands)

    def test(self, clips: Iterable[Path]) -> None:
        """Compare what the maps find again with what is there."""
        for patches in self._windows(clips):
            for name, features in patches.features.items():
                found = self._maps[name].predict(features, patches.bands)
                for target, part in zip(TARGETS, found.chunk(len(TARGETS), dim=1), strict=True):
                    score = self._scores.setdefault(
                        (name, target), ExplainedVariance(self.num_bands)
                    )
                    score.add(*self._by_patch(part, patches.targets[target], patches.bands))

    def results(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return R^2 by representation and target: `bands` and `all`."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for (name, target), score in self._scores.items():
            values = {"all": score.overall(), "bands": score.per_band()}
            found.setdefault(name, {})[target] = values
        return found

    def _by_patch(
        self,
        found: Float[Tensor, "L pixels"],
        targets: Float[Tensor, "L pixels"],
        bands: Int[Tensor, " L"],
    ) -> tuple[Float[Tensor, "N P"], Float[Tensor, "N P"], Int[Tensor, " N"]]:
        """Take positions apart into patches, which have bands of their own."""
        factor, side_by_side = self.representations.stack_factor, self.num_bands // self.rows
        # Bands come first within a time step (`layers.stacking`).
        patch_bands = side_by_side * bands.unsqueeze(1) + torch.arange(factor) % side_by_side
        found, targets = (x.unflatten(1, (factor, -1)).flatten(0, 1) for x in (found, targets))
        return found, targets, patch_bands.flatten()

    def _windows(self, clips: Iterable[Path]) -> Iterator[Patches]:
        for clip in clips:
            blocks = (np.asarray(block, dtype=np.float32) for block in read_blocks(clip))
            for window in encode_windows(blocks, pads_windows=False):
                yield self._patches(window.wav, window.num_samples)

    @torch.no_grad()
    def _patches(self, wav: Float[Tensor, "1 S"], num_samples: int) -> Patches:
        factor = self.representations.stack_factor
        size = self.representations.audiomae.config.patch_size
        fbank = window_fbank(self.fbank, wav)
        detail = split_detail(fbank).detail
        targets = {
            name: stack_patches(patchify(part, size), factor, self.num_bands)[0]
            for name, part in zip(TARGETS, (fbank, detail), strict=True)
        }
        # Whole columns with sound: the last one may hold zeros.
        count = num_samples // self.grid.samples_per_column * self.rows
        bands = torch.arange(len(targets["detail"])) % self.rows
        chosen = torch.arange(len(bands)) < count
        if self.settings.loud_only:
            means = targets["energies"].mean(dim=1)
            chosen &= means > means[chosen].mean()
        features = self.representations.compute(fbank, window_mel(self.mel, wav))
        return Patches(
            {name: rows[chosen] for name, rows in features.items()},
            {name: rows[chosen] for name, rows in targets.items()},
            bands[chosen],
        )


def spread_clips(suite: Suite, limit: int) -> Suite:
    """Return at most `limit` clips of each domain, evenly spread over their names.

    The first ones by name often come from one source, and maps fitted on them know no other.
    """
    chosen: list[Clip] = []
    for domain in suite.domains:
        clips = [clip for clip in suite.clips if clip.domain == domain]
        chosen += clips[:: -(-len(clips) // limit)]
    return replace(suite, clips=tuple(chosen))


def evaluate_features(
    representations: Representations,
    *,
    fit: Suite,
    test: Suite,
    settings: FeatureSettings,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Return how much of energies and detail a linear map finds again, for each representation.

    Args:
        representations: representations to probe.
        fit: recordings to fit the maps on; some ten minutes of them.
        test: other recordings, of the same kinds.
        settings: settings of the comparison.
        show_progress: whether to draw a bar.
    Raises:
        DataError: a recording that cannot be read.
    """
    probe = FeatureProbe(representations, settings)
    for step, suite in ((probe.fit, fit), (probe.test, test)):
        paths = [clip.path for clip in suite.clips]
        step(ProgressBar(paths, label=step.__name__, unit="clip", shown=show_progress))
    return {
        "settings": asdict(settings),
        "fit": {"suite": fit.name, "clips": fit.domains},
        "test": {"suite": test.name, "clips": test.domains},
        "features": probe.results(),
    }
