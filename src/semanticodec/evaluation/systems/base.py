"""What every system of an evaluation has: a name, and a way from wav to wav."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Num

from semanticodec.audio.io import resample_blocks
from semanticodec.errors import SemantiCodecError
from semanticodec.evaluation.systems.specs import Spec, SystemOptions
from semanticodec.files import file_digest

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip


# What a report can hold; deeper than this no system describes itself.
Detail = str | int | float | bool | None | list[float] | dict[str, str]


class ReconstructionError(SemantiCodecError, RuntimeError):
    """A system that failed on a clip."""


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What a system made of a clip.

    Attributes:
        wav: float32, 16 kHz mono, exactly as long as the clip.
        num_bits: payload bits that were spent; None: unknown, or none were.
        warnings: what a reader of the clip's scores has to know, one sentence each.
    """

    wav: Float[np.ndarray, " S"]
    num_bits: int | None
    warnings: tuple[str, ...] = ()


class System(ABC):
    """A codec, a bound of one, or a folder of recordings.

    A kind of system is a class that is called with a specification and a device.

    Attributes:
        Options: settings that its specification may hold.
        name: name in reports.
        spec: specification that it was opened with, folders by their last name only.
        details: settings, versions and fingerprints for reports.
    """

    Options: ClassVar[type[SystemOptions]] = SystemOptions

    def __init__(self, spec: Spec, details: Mapping[str, Detail]) -> None:
        self.name = spec.label
        self.spec = spec.text
        self.details = dict(details)

    def reconstruct(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return what comes out for a clip, the same in every process.

        Args:
            wav: float32, 16 kHz mono.
            clip: clip that the samples come from.
        Raises:
            SemantiCodecError: this clip cannot be reconstructed; others may.
        """
        made = self.process(wav, clip)
        if not np.isfinite(made.wav).all():
            raise ReconstructionError(
                "the system gave NaN or infinite samples; check its model and settings"
            )
        assert made.wav.shape == wav.shape and made.wav.dtype == np.float32, made.wav.shape
        return made

    @abstractmethod
    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Do the work of `reconstruct`; the arguments are the same."""


def fitted(wav: Num[np.ndarray, " S"], num_samples: int) -> Num[np.ndarray, " S2"]:
    """Return the first `num_samples`, with zeros at the end where there are fewer."""
    return np.pad(wav[:num_samples], (0, max(0, num_samples - len(wav))))


def resampled(
    wav: Float[np.ndarray, " S"], source_rate: int, sample_rate: int
) -> Float[np.ndarray, " S2"]:
    """Return ceil(S * sample_rate / source_rate) samples, filtered by soxr without delay."""
    return np.concatenate(list(resample_blocks([wav], source_rate, sample_rate)))


def bits_per_code(vocab_size: int) -> int:
    """Return the bits of one code as a plain binary number: log2 where that is whole."""
    return (vocab_size - 1).bit_length()


def file_digests(files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of every file by its name: what says which weights were measured."""
    return {path.name: file_digest(path) for path in files}
