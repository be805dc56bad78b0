"""What every system of an evaluation has: a specification, a name, and a way from wav to wav.

KIND[@SETTING][=VALUE][,option=value ...]     model=FOLDER,rate=50,steps=25     opus@6
"""

from __future__ import annotations

import hashlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from jaxtyping import Float, Num

from semanticodec.audio.io import resample_blocks
from semanticodec.errors import ConfigError, SemantiCodecError

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

SAMPLE_RATE = 16_000
NAME_OPTION = "name"  # every kind takes it
PATH_OPTION = "path"
HASH_BLOCK = 1 << 20

# What a report can hold; deeper than this no system describes itself.
Detail = str | int | float | bool | None | list[float] | dict[str, str]
Presence = Literal["no", "may", "must"]
Number = TypeVar("Number", int, float)


class ReconstructionError(SemantiCodecError, RuntimeError):
    """A system that failed on a clip."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The parts of a specification.

    Attributes:
        kind: such as `model` or `opus`.
        setting: what follows `@`, such as a bit rate.
        value: what follows the kind's `=`, such as a folder.
        options: what follows commas, in the order given.
    """

    kind: str
    setting: str | None = None
    value: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        head = self.kind if self.setting is None else f"{self.kind}@{self.setting}"
        if self.value is not None:
            head += f"={self.value}"
        return ",".join([head, *(f"{option}={value}" for option, value in self.options.items())])

    @property
    def text(self) -> str:
        """The specification without a name, and with folders by their last name only.

        Reports are published; where things lay on somebody's disk does not belong in them.
        """
        shown = {
            option: folder_name(value) if option == PATH_OPTION else value
            for option, value in self.options.items()
            if option != NAME_OPTION
        }
        value = None if self.value is None else folder_name(self.value)
        return str(Spec(kind=self.kind, setting=self.setting, value=value, options=shown))

    @property
    def label(self) -> str:
        """What reports call the system: the name that was given, or `text`."""
        return self.options.get(NAME_OPTION, self.text)

    def whole(self, option: str, *, low: int, high: float = math.inf) -> int | None:
        """Return an option as a whole number; None: not given.

        Raises:
            ConfigError: not a whole number within the bounds.
        """
        text = self.options.get(option)
        return None if text is None else number(option, text, int, low=low, high=high)

    def real(self, option: str, *, low: float, high: float = math.inf) -> float | None:
        """Return an option as a number; None: not given.

        Raises:
            ConfigError: not a number within the bounds.
        """
        text = self.options.get(option)
        return None if text is None else number(option, text, float, low=low, high=high)


def number(
    what: str, text: str, kind: type[Number], *, low: float, high: float = math.inf
) -> Number:
    """Return what a text says as a number.

    Args:
        what: its name in a message.
        text: such as `6` or `0.47`.
        kind: int or float.
        low: the least that is allowed.
        high: the most that is allowed.
    Raises:
        ConfigError: not a number of that kind within the bounds.
    """
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high or value == math.inf:
        noun = "a whole number" if kind is int else "a number"
        bounds = f"from {low}" if high == math.inf else f"from {low} to {high}"
        raise ConfigError(f"{what} is '{text}'; give {noun} {bounds}")
    return value


def folder_name(value: str) -> str:
    """Return the last name of a folder, and anything else (a Hub id) as it is."""
    is_folder = Path(value).is_dir() or Path(value).is_absolute() or value.startswith((".", "~"))
    return Path(os.path.abspath(value)).name if is_folder else value


def parse_spec(text: str) -> Spec:
    """Return the parts of a specification.

    Args:
        text: `KIND[@SETTING][=VALUE][,option=value ...]`.
    Raises:
        ConfigError: no kind, an empty part, an option without value, or one given twice.
    """
    head, *rest = text.strip().split(",")
    left, has_value, value = head.partition("=")
    kind, has_setting, setting = left.partition("@")
    options: dict[str, str] = {}
    for part in rest:
        option, _, given = part.partition("=")
        if not option or not given:
            raise ConfigError(
                f"'{part}' in the system '{text}' is no option=value; "
                "commas separate options, so no value can hold one"
            )
        if option in options:
            raise ConfigError(f"the system '{text}' gives {option} twice; give it once")
        options[option] = given
    if not kind or (has_setting and not setting) or (has_value and not value):
        raise ConfigError(
            f"the system '{text}' is incomplete; write KIND[@SETTING][=VALUE][,option=value ...], "
            "such as opus@6 or model=FOLDER,steps=25"
        )
    return Spec(kind=kind, setting=setting or None, value=value or None, options=options)


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

    Attributes:
        name: what reports call it.
        spec: what it was opened with, folders by their last name only.
        details: settings, versions and fingerprints for reports.
    """

    def __init__(self, spec: Spec, details: Mapping[str, Detail]) -> None:
        self.name = spec.label
        self.spec = spec.text
        self.details = dict(details)

    def reconstruct(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return what comes out for a clip, the same in every process.

        Args:
            wav: float32, 16 kHz mono.
            clip: where it comes from.
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


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of system: what its specification may hold, and how it is opened.

    Attributes:
        open: returns the system of a checked specification on a device.
        usage: how to write it.
        setting: whether `@SETTING` must, may or must not be there.
        value: likewise for `=VALUE`.
        options: which there are, besides `name`.
    """

    open: Callable[[Spec, str], System]
    usage: str
    setting: Presence = "no"
    value: Presence = "no"
    options: tuple[str, ...] = ()

    def check(self, spec: Spec) -> None:
        """Raise a ConfigError that says what is wrong with a specification, if anything is."""
        for part, given, presence in (
            ("@SETTING", spec.setting, self.setting),
            ("=VALUE", spec.value, self.value),
        ):
            if presence == "must" and given is None:
                raise ConfigError(f"the system '{spec}' lacks its {part}; write {self.usage}")
            if presence == "no" and given is not None:
                raise ConfigError(f"the system '{spec}' takes no {part}; write {self.usage}")
        allowed = (*self.options, NAME_OPTION)
        for option in spec.options:
            if option not in allowed:
                raise ConfigError(
                    f"the system '{spec.kind}' has no option '{option}'; "
                    f"choose from {', '.join(allowed)}"
                )


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
    digests = {}
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(HASH_BLOCK):
                digest.update(block)
        digests[path.name] = digest.hexdigest()
    return digests
