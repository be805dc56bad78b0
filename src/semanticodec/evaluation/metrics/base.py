"""What a metric is: its name, what it needs, how it measures; and what all ask of a pair of clips.

A new metric is a file that makes one `Metric`, and a line in the table of `metrics/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError, MissingDependencyError

# Root mean square, -60 dBFS. Measures that follow hearing see nothing below: ViSQOL gives noise
# 1.0 against a loud reference, 1.7 at this level and 5.0, its best, against silence.
SILENCE = 1e-3


class Pair(NamedTuple):
    """What a metric is given of a clip.

    Attributes:
        reference: original, float32 16 kHz mono.
        decoded: the same after a codec, exactly as long.
        transcript: what is said in it; None: unknown.
        language: language of the transcript, such as `en`; None: unknown.
    """

    reference: Float[np.ndarray, " S"]
    decoded: Float[np.ndarray, " S"]
    transcript: str | None = None
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What metrics may need besides packages.

    Attributes:
        recognizer: specification of a speech recognizer; see `open_recognizer`.
        speaker_model: folder or Hub id of a model that tells speakers apart.
        device: device where models compute.
    """

    recognizer: str | None = None
    speaker_model: str | None = None
    device: str = "cpu"


Distance = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A number of many clips that is not the mean of theirs, but made from sums over them.

    Attributes:
        keys: names of the K values that are stored of a clip; the last is what they were summed
            over, and a clip where it is 0 has no number.
        number: sums [..., K] -> numbers [...], in the unit of the reports.
        are_counts: whether the values mean something by themselves; tables of clips leave out
            those that do not.
    """

    keys: tuple[str, ...]
    number: Callable[[np.ndarray], np.ndarray | np.floating]
    are_counts: bool = True


def rate(part: str, whole: str) -> Pooled:
    """Return the share of a count in another, in percent, such as that of wrong words."""
    return Pooled(keys=(part, whole), number=lambda sums: 100.0 * sums[..., 0] / sums[..., 1])


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: key in results and on the command line.
        label: name in tables.
        is_higher_better: whether larger values are better.
        measure: returns a number for each of `keys`, given a pair and what `open` returned.
        open: loads what the metric needs, once per process; raises a SemantiCodecError that says
            what is missing.
        family: metrics that are chosen by one name and share a table of the reports.
        package: package on the index that it needs; its version is recorded with the results.
        module: name under which the package is imported.
        unit: what stands behind the name in tables, such as `%`.
        decimals: digits after the point that are worth printing.
        is_speech_only: whether it means nothing for music and other sound.
        uses_transcript: whether it compares words; without a transcript, with those that a
            recognizer hears in the original.
        pooled: how the number of many clips follows from theirs; None: it is their mean.
    """

    name: str
    label: str
    is_higher_better: bool
    measure: Callable[[Pair, Any], tuple[float, ...]]
    family: str
    open: Callable[[Resources], Any] = lambda resources: None
    package: str | None = None
    module: str | None = None
    unit: str = ""
    decimals: int = 3
    is_speech_only: bool = False
    uses_transcript: bool = False
    pooled: Pooled | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What is stored of a clip."""
        return self.pooled.keys if self.pooled else (self.name,)

    def opened(self, resources: Resources) -> Any:
        """Return what `measure` takes in addition to a pair.

        Raises:
            MissingDependencyError: the package is not installed.
            ConfigError: a resource is missing or not understood.
        """
        if self.package is not None:
            with needs(self.package):
                import_module(self.module or self.package)
        return self.open(resources)


def of_pair(distance: Distance) -> Callable[[Pair, Any], tuple[float, ...]]:
    """Return the `measure` of a function of reference and decoded clip alone."""
    return lambda pair, _: (distance(pair.reference, pair.decoded),)


@contextmanager
def needs(package: str, *, extra: str = "eval") -> Iterator[None]:
    """Turn the ImportError of an optional package into one that says how to install it.

    Args:
        package: its name on the package index.
        extra: name of our extra that installs it.
    Raises:
        MissingDependencyError: an import inside the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"{package} cannot be imported ({error}); "
            f"install it with pip install 'semanticodec[{extra}]'"
        ) from error


def check_pair(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> None:
    """Refuse what cannot be compared sample by sample.

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: not one-dimensional, empty, of different lengths, NaN or infinite.
    """
    for name, wav in (("reference", reference), ("decoded", decoded)):
        if wav.ndim != 1 or not len(wav):
            raise AudioError(f"the {name} clip has shape {wav.shape}; give samples [S], S > 0")
        if not np.isfinite(wav).all():
            raise AudioError(f"the {name} clip holds NaN or infinite samples")
    if len(reference) != len(decoded):
        raise AudioError(
            f"the decoded clip has {len(decoded)} samples and its reference {len(reference)}; "
            "only clips of the same length can be compared"
        )


def check_audible(wav: Float[np.ndarray, " S"], name: str, measure: str) -> None:
    """Refuse a clip that a measure of hearing knows nothing about.

    Args:
        wav: the clip, not empty.
        name: name of the clip in a message, "reference" or "decoded".
        measure: what cannot be computed, in a message.
    Raises:
        AudioError: the clip is silent.
    """
    level = float(np.sqrt(np.mean(np.square(wav, dtype=np.float64))))
    if level < SILENCE:
        raise AudioError(
            f"the {name} clip is silent (root mean square {level:.1e}, below {SILENCE:.0e}); "
            f"{measure} is not defined"
        )
