"""The measures of Section IV-C: what each is called, when it applies, and all of a clip at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.evaluation.metrics.intelligibility import require_stoi, stoi
from semanticodec.evaluation.metrics.pair import check_pair
from semanticodec.evaluation.metrics.recognisers import KINDS, Recogniser, open_recogniser
from semanticodec.evaluation.metrics.spectral import mel_distance, stft_distance
from semanticodec.evaluation.metrics.visqol import require_visqol, visqol_audio, visqol_speech
from semanticodec.evaluation.metrics.words import require_jiwer, word_errors

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measure.

    Attributes:
        name: its key in results and on the command line.
        label: what tables call it.
        is_higher_better: which way is good.
        decimals: how many digits after the point are worth printing.
        is_speech_only: whether it means nothing for music and other sound.
        needs_transcript: whether it needs to know the words.
        quotient: for a rate, what is stored of a clip instead: a count and what it is divided by.
            The rate of many clips is the sum of the former by the sum of the latter.
    """

    name: str
    label: str
    is_higher_better: bool
    decimals: int
    is_speech_only: bool = False
    needs_transcript: bool = False
    quotient: tuple[str, str] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What is stored of a clip."""
        return self.quotient or (self.name,)


_ALL = (
    Metric(name="mel", label="MEL", is_higher_better=False, decimals=3),
    Metric(name="stft", label="STFT", is_higher_better=False, decimals=3),
    Metric(name="visqol_speech", label="ViSQOL (speech mode)", is_higher_better=True, decimals=2),
    Metric(name="visqol_audio", label="ViSQOL (audio mode)", is_higher_better=True, decimals=2),
    Metric(name="stoi", label="STOI", is_higher_better=True, decimals=3, is_speech_only=True),
    Metric(
        name="wer",
        label="WER",
        is_higher_better=False,
        decimals=3,
        is_speech_only=True,
        needs_transcript=True,
        quotient=("word_errors", "num_words"),
    ),
)
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mel": mel_distance,
    "stft": stft_distance,
    "visqol_speech": visqol_speech,
    "visqol_audio": visqol_audio,
    "stoi": stoi,
}
_REQUIREMENTS: dict[str, Callable[[], None]] = {
    "visqol_speech": require_visqol,
    "visqol_audio": require_visqol,
    "stoi": require_stoi,
    "wer": require_jiwer,
}


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What could be measured of a clip.

    Attributes:
        values: by the keys of the metrics, finite.
        problems: one sentence for each metric that should have a value and has none.
    """

    values: dict[str, float]
    problems: tuple[str, ...] = ()


class Metrics:
    """The measures of an evaluation; built once per process, their models loaded when needed.

    Args:
        names: of `METRICS`, in any order.
        recogniser: see `open_recogniser`; needed by `wer`, and ignored without it.
        device: where a recogniser runs that can choose.
    Raises:
        ConfigError: no such metric or recogniser, or `wer` without a recogniser.
        MissingDependencyError: a package is not installed.
    """

    def __init__(
        self, names: Sequence[str], *, recogniser: str | None = None, device: str = "cpu"
    ) -> None:
        if unknown := [name for name in names if name not in METRICS]:
            raise ConfigError(f"there is no metric '{unknown[0]}'; choose of {', '.join(METRICS)}")
        self.metrics = tuple(metric for metric in METRICS.values() if metric.name in names)
        self.recogniser: Recogniser | None = None
        for metric in self.metrics:
            if metric.name in _REQUIREMENTS:
                _REQUIREMENTS[metric.name]()
        if "wer" in names:
            if recogniser is None:
                raise ConfigError(f"the metric 'wer' needs a recogniser; give {KINDS}")
            self.recogniser = open_recogniser(recogniser, device=device)

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
            CheckpointError: the recogniser's weights cannot be loaded.
        """
        check_pair(reference, decoded)
        values: dict[str, float] = {}
        problems = []
        for metric in self.metrics:
            if metric.is_speech_only and not clip.is_speech:
                continue
            try:
                measured = self._measure(metric, reference, decoded, clip)
            except (AudioError, DataError) as error:
                problems.append(f"{metric.name}: {error}")
                continue
            if not all(math.isfinite(value) for value in measured):
                problems.append(f"{metric.name}: the result is not a number")
                continue
            values.update(zip(metric.keys, measured))
        return Scores(values=values, problems=tuple(problems))

    def _measure(
        self, metric: Metric, reference: np.ndarray, decoded: np.ndarray, clip: Clip
    ) -> tuple[float, ...]:
        """Return a number for each of the metric's keys."""
        if metric.name in _DISTANCES:
            return (_DISTANCES[metric.name](reference, decoded),)
        assert self.recogniser is not None
        if clip.transcript is None:
            raise DataError("the suite has no transcript of this clip")
        found = self.recogniser.transcribe(decoded, clip.language)
        return tuple(float(count) for count in word_errors(clip.transcript, found))
