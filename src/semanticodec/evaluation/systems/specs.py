"""How systems are named: KIND, or KIND:key=value,key=value.

    ground-truth        opus:kbps=6        model:path=FOLDER,steps=25,name=ours

Every kind has a dataclass of options; its fields are the keys, and their types read the values.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from semanticodec.errors import ConfigError

NAME, PATH = "name", "path"
FOLDERS = (PATH, "encoder")  # keys whose values are folders
HOW_TO_WRITE = "write KIND or KIND:key=value,key=value, such as opus:kbps=6 or model:steps=25"

Number = TypeVar("Number", int, float)
OptionsT = TypeVar("OptionsT", bound="SystemOptions")


@dataclass(frozen=True, kw_only=True)
class SystemOptions:
    """What every kind of system takes; a kind adds fields of its own.

    Attributes:
        more: keys besides the fields, whose values the kind reads itself.
        name: name of the system in reports (None: its specification).
    """

    more: ClassVar[tuple[str, ...]] = ()
    name: str | None = None


def limited(low: float, high: float = math.inf, **default: Any) -> Any:
    """Return a dataclass field for a number from `low` to `high`; `default` as `field` takes it."""
    return field(metadata={"low": low, "high": high}, **default)


def one_of(choices: Iterable[str], **default: Any) -> Any:
    """Return a dataclass field for one of some words; `default` as `field` takes it."""
    return field(metadata={"choices": tuple(choices)}, **default)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A specification in its parts.

    Attributes:
        kind: kind of system, such as `model` or `opus`.
        options: values by their keys, in the order given.
    """

    kind: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.kind}:{options}" if options else self.kind

    def without(self, key: str) -> Spec:
        """Return the specification less one option."""
        kept = {name: value for name, value in self.options.items() if name != key}
        return dataclasses.replace(self, options=kept)

    @property
    def text(self) -> str:
        """The specification without a name, and with folders by their last name only.

        Reports are published; where things lay on somebody's disk does not belong in them.
        """
        options = {
            key: folder_name(value) if key in FOLDERS else value
            for key, value in self.options.items()
            if key != NAME
        }
        return str(dataclasses.replace(self, options=options))

    @property
    def label(self) -> str:
        """What reports call the system: the name that was given, or `text`."""
        return self.options.get(NAME, self.text)


def parse_spec(text: str) -> Spec:
    """Return the parts of a specification.

    Args:
        text: `KIND` or `KIND:key=value,key=value`.
    Raises:
        ConfigError: no kind, an option without value, or one given twice.
    """
    kind, colon, rest = text.strip().partition(":")
    if not kind or (colon and not rest):
        raise ConfigError(f"the system '{text}' is incomplete; {HOW_TO_WRITE}")
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        key, _, value = part.partition("=")
        if not key or not value:
            raise ConfigError(
                f"'{part}' in the system '{text}' is no key=value; "
                "commas separate options, so no value can hold one"
            )
        if key in options:
            raise ConfigError(f"the system '{text}' gives {key} twice; give it once")
        options[key] = value
    return Spec(kind=kind, options=options)


def read_options(spec: Spec, kind: type[OptionsT]) -> OptionsT:
    """Return a specification's options as their dataclass.

    Raises:
        ConfigError: an unknown key, one that is missing, or a value that its field does not take.
    """
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for key in spec.options:
        if key not in fields and key not in kind.more:
            raise ConfigError(
                f"the system '{spec.kind}' has no option '{key}'; "
                f"choose from {', '.join((*fields, *kind.more))}"
            )
    for key, item in fields.items():
        if item.default is dataclasses.MISSING and key not in spec.options:
            raise ConfigError(
                f"the system '{spec}' lacks its {key}; write {spec.kind}:{key}={key.upper()}"
            )
    types = get_type_hints(kind)
    return kind(
        **{
            key: _read(item, types[key], spec.options[key])
            for key, item in fields.items()
            if key in spec.options
        }
    )


def _read(item: dataclasses.Field[Any], annotation: Any, text: str) -> Any:
    choices = item.metadata.get("choices")
    if choices is not None and text not in choices:
        raise ConfigError(f"{item.name} is '{text}'; choose one of {', '.join(choices)}")
    for kind in (int, float):
        if kind is annotation or kind in get_args(annotation):
            low, high = item.metadata.get("low", 0), item.metadata.get("high", math.inf)
            return number(item.name, text, kind, low=low, high=high)
    return text


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
