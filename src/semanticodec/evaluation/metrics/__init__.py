"""The metrics of Section IV-C, and all of them on a clip at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError, ConfigError, DataError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Metric, Pair, Resources, check_pair
from semanticodec.evaluation.metrics.detail import DETAIL
from semanticodec.evaluation.metrics.dnsmos import DNSMOS
from semanticodec.evaluation.metrics.intelligibility import ESTOI, STOI
from semanticodec.evaluation.metrics.pesq import PESQ
from semanticodec.evaluation.metrics.pitch import GROSS_PITCH_ERROR, PITCH_CENTS, VOICING_ERROR
from semanticodec.evaluation.metrics.speaker import SPEAKER
from semanticodec.evaluation.metrics.spectral import MEL, STFT
from semanticodec.evaluation.metrics.visqol import VISQOL_AUDIO, VISQOL_SPEECH
from semanticodec.evaluation.metrics.words import WER

__all__ = ["METRICS", "Metric", "Metrics", "Pair", "Resources", "Scores"]

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

_ALL = (
    MEL,
    STFT,
    VISQOL_SPEECH,
    VISQOL_AUDIO,
    STOI,
    ESTOI,
    PESQ,
    SPEAKER,
    WER,
    *DNSMOS,
    GROSS_PITCH_ERROR,
    PITCH_CENTS,
    VOICING_ERROR,
    *DETAIL,
)
NO_TRANSCRIPT = "the suite has no transcript; compared with what is heard in the original"
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What could be measured of a clip.

    Attributes:
        values: finite numbers by the keys of the metrics.
        problems: one sentence for each metric that should have a value and has none, or whose
            value is not what it usually is.
    """

    values: dict[str, float]
    problems: tuple[str, ...] = ()


class Metrics:
    """The metrics of an evaluation; built once per process, their models loaded when needed.

    Args:
        names: names from `METRICS`, or of families for all of theirs that can be computed here,
            in any order; None: all that can be computed here.
        resources: resources that metrics may need besides packages.
    Attributes:
        metrics: those that are computed, in the order of the table.
        opened: what each of them loaded, by its name.
        skipped: why the others cannot be computed here, by name.
    Raises:
        ConfigError: no such metric, or one without the resource that it needs.
        MissingDependencyError: a package is not installed.
    """

    def __init__(self, names: Sequence[str] | None, resources: Resources | None = None) -> None:
        families = {metric.family for metric in METRICS.values()}
        unknown = [name for name in names or () if name not in (*METRICS, *families)]
        if unknown:
            raise ConfigError(f"there is no metric '{unknown[0]}'; choose of {', '.join(METRICS)}")
        self.opened: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        for metric in METRICS.values():
            if names is not None and not {metric.name, metric.family} & set(names):
                continue
            try:
                self.opened[metric.name] = metric.opened(resources or Resources())
            except (ConfigError, MissingDependencyError) as error:
                if metric.name in (names or ()):
                    raise
                self.skipped[metric.name] = str(error)
        self.metrics = tuple(METRICS[name] for name in self.opened)

    @property
    def models(self) -> dict[str, str]:
        """What reports call the models behind metrics, such as the recognizer of `wer`."""
        return {name: it.name for name, it in self.opened.items() if hasattr(it, "name")}

    def score(
        self,
        reference: Float[np.ndarray, " S"],
        decoded: Float[np.ndarray, " S"],
        clip: Clip,
    ) -> Scores:
        """Measure one decoded clip with every metric that applies to it.

        Args:
            reference: the original, float32 16 kHz mono.
            decoded: the same after a codec, exactly as long.
            clip: says whether it is speech, and what is said.
        Raises:
            AudioError: the two cannot be compared at all: other lengths, empty, NaN.
            CheckpointError: the weights of a metric's model cannot be loaded.
        """
        check_pair(reference, decoded)
        pair = Pair(reference, decoded, clip.transcript, clip.language)
        values: dict[str, float] = {}
        problems = []
        for metric in self.metrics:
            if metric.is_speech_only and not clip.is_speech:
                continue
            try:
                measured = metric.measure(pair, self.opened[metric.name])
            except (AudioError, DataError) as error:
                problems.append(f"{metric.name}: {error}")
                continue
            if not all(math.isfinite(value) for value in measured):
                problems.append(f"{metric.name}: the result is not a number")
                continue
            values.update(zip(metric.keys, measured))
            if metric.uses_transcript and clip.transcript is None:
                problems.append(f"{metric.name}: {NO_TRANSCRIPT}")
        return Scores(values=values, problems=tuple(problems))
