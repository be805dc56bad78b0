"""What a corpus consists of: the codes of its recordings, each with its name and where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from semanticodec.codes import Codes

Column = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """Codes of one recording, or of a segment of one, and where they come from.

    Attributes:
        id: its name, unique in the corpus.
        codes: one item, on the CPU.
        source: path or key of the recording.
        columns: what the manifest says of it besides, carried through.
    """

    id: str
    codes: Codes
    source: str
    columns: Mapping[str, Column] = field(default_factory=dict)
