"""What an ablation compares: models, or settings of one, each with a label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semanticodec.errors import SemantiCodecError
from semanticodec.evaluation.systems import Spec

# Errors of one variant that leave the others; torch tells a lack of memory by a RuntimeError.
EXPECTED_ERRORS = (SemantiCodecError, OSError, RuntimeError)
# The folders of an absolute path, up to its last name.
FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/]+/)+")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row to be.

    Attributes:
        label: unlike all others of the ablation.
        settings: what distinguishes it, as JSON values.
        model: folder or Hub id; None for the built-in model.
        options: options of the model's specification, such as `vocab` or `steps`.
        training: what the row tells of its training; None where nothing was trained.
    """

    label: str
    settings: Mapping[str, Any]
    model: str | Path | None
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None

    @property
    def spec(self) -> str:
        """The variant as a system of the evaluation, with its label as name."""
        place = {} if self.model is None else {"path": str(self.model)}
        given = {name: str(value) for name, value in self.options.items()}
        return str(Spec(kind="model", options={**place, **given, "name": self.label}))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that there is not, and why."""

    label: str
    error: str

    @classmethod
    def of(cls, label: str, error: Exception) -> Failure:
        """Return the failure that an exception means.

        Results are published: where things lay on somebody's disk does not belong in them.
        """
        text = " ".join(FOLDERS.sub("", str(error)).split())
        return cls(label=label, error=text or type(error).__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The variants that could be made, and those that could not."""

    variants: tuple[Variant, ...] = ()
    failures: tuple[Failure, ...] = ()
