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
        device: device where models compute.
    """

    recognizer: str | None = None
    device: str = "cpu"


Distance = Callable[[np.ndarray, np.ndarray], float]


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
        package: package on the index that it needs; its version is recorded with the results.
        module: name under which the package is imported.
        decimals: digits after the point that are worth printing.
        is_speech_only: whether it means nothing for music and other sound.
        needs_transcript: whether it needs to know the words.
        quotient: keys that are stored of a clip instead of a rate: a count and its divisor.
            The rate of many clips is the sum of the former by the sum of the latter.
    """

    name: str
    label: str
    is_higher_better: bool
    measure: Callable[[Pair, Any], tuple[float, ...]]
    open: Callable[[Resources], Any] = lambda resources: None
    package: str | None = None
    module: str | None = None
    decimals: int = 3
    is_speech_only: bool = False
    needs_transcript: bool = False
    quotient: tuple[str, str] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What is stored of a clip."""
        return self.quotient or (self.name,)

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
