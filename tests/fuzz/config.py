"""Any `config.json`: an error that says so, or the codec whose weights lie beside it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from semanticodec import SemantiCodec
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.config import tiny
from semanticodec.errors import SemantiCodecError

# What a place of the configuration may become: every type, and the sizes that break things.
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 65_536, 2**31, 2**63, 10**40),
    *(0.5, -1.0, 1e300, float("nan"), float("inf")),
    *("", "vocos", "hifigan", "\ud800", "../secret", [], {}, [1], [[]], [0, 0], {"class": []}),
    *([1, "x"], [None], [2, 2, 2, 2, 2, 2], [1e9] * 4, [[64, [["speech", 3]]]]),
)


@cache
def folder() -> Path:
    """Return a folder with the weights of the tiny codec, removed when Python ends."""
    _kept.append(tempfile.TemporaryDirectory())
    return SemantiCodec(choose_vocabulary(tiny(), None)).save_pretrained(_kept[0].name)


@cache
def whole() -> str:
    """Return the `config.json` of that folder."""
    return (folder() / "config.json").read_text()


def check(data: bytes) -> None:
    """Load a folder with this `config.json`.

    Args:
        data: the text itself, or, behind a zero, edits of the right one: where and what, a byte
            each.
    """
    text = whole().encode()
    if data[:1] == b"\0":
        index = json.loads(text)
        for place, value in zip(data[1::2], data[2::2]):
            _edit(index, place, value)
        text = json.dumps(index).encode()
    else:
        text = data
    (folder() / "config.json").write_bytes(text)
    with suppress(SemantiCodecError):
        SemantiCodec.from_pretrained(folder())


def _edit(index: Any, place: int, value: int) -> None:
    places = list(_places(index))
    holder, key = places[place % len(places)]
    if value == 255:
        del holder[key]
    elif value == 254 and isinstance(holder, dict):
        holder["unknown"] = holder.pop(key)
    else:
        holder[key] = deepcopy(VALUES[value % len(VALUES)])


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of nested values as what holds it and its key there."""
    for key in list(values) if isinstance(values, dict) else range(len(values)):
        yield values, key
        if isinstance(values[key], dict | list):
            yield from _places(values[key])


_kept: list[tempfile.TemporaryDirectory] = []
