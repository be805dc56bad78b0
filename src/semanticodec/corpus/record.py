"""A corpus consists of records: the codes of a recording, its name and where it is from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from semanticodec.codes import Codes
from semanticodec.errors import DataError

Column = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """Codes of one recording, or of a segment of one, and where they come from.

    Attributes:
        id: its name, unique in the corpus.
        codes: one item, on the CPU.
        source: path or key of the recording.
        columns: what the manifest says of it besides, carried through.
    Raises:
        DataError: something that not every output format can store.
    """

    id: str
    codes: Codes
    source: str
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.codes) != 1:
            raise DataError(f"{len(self.codes)} items of codes for {self.id!r}; a record holds one")
        if not self.id:
            raise DataError(f"an empty id for {self.source!r}; give every recording a name")
        for name, value in {"id": self.id, "source": self.source, **self.columns}.items():
            for text in (name, value):
                if isinstance(text, str) and not _is_storable(text):
                    raise DataError(f"{name!a} is {value!a}; text in UTF-8 without NUL is allowed")
            if not isinstance(value, (str, int, float, type(None))):
                raise DataError(
                    f"{name} of {self.id!r} is a {type(value).__name__}; text, numbers, true, "
                    "false and null are carried through: leave it out, or write it as text"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(
                    f"{name} of {self.id!r} is {value}, which JSON does not know: leave it out"
                )


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
