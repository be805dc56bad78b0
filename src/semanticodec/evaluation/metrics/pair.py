"""What every measure asks of a recording and its decoded copy, and of the package it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError, MissingDependencyError

SAMPLE_RATE = 16_000
# Root mean square, -60 dBFS. Measures that follow hearing see nothing below: ViSQOL gives noise
# 1.0 against a loud reference, 1.7 at this level and 5.0, its best, against silence.
SILENCE = 1e-3


@contextmanager
def needs(package: str, *, extra: str = "eval") -> Iterator[None]:
    """Turn the ImportError of an optional package into one that says how to install it.

    Args:
        package: its name on the package index.
        extra: which of our extras brings it.
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
        name: which clip this is, in a message: "reference" or "decoded".
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
