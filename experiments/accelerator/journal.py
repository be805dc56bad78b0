"""How far a run of the plan has come: OUT/journal.json, rewritten after every portion."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from semanticodec.errors import ConfigError
from semanticodec.files import read_json, write_json

NAME = "journal.json"


@dataclass
class Progress:
    """One step of the plan.

    Attributes:
        allotted_s: its time; None before it has begun.
        used_s: seconds that it has taken.
        num_steps: optimizer steps that are done.
        steps_per_second: speed at the end.
        batch_size: items per step; None is the recipe's.
        is_finished: whether its time, or its work, is over.
        error: why it failed.
    """

    allotted_s: float | None = None
    used_s: float = 0.0
    num_steps: int = 0
    steps_per_second: float | None = None
    batch_size: int | None = None
    is_finished: bool = False
    error: str | None = None


@dataclass
class Journal:
    """Time and steps of all calls so far.

    Attributes:
        path: the file.
        plan: name of the plan.
        used_s: seconds of all calls.
        steps: progress by step.
    """

    path: Path
    plan: str
    used_s: float = 0.0
    steps: dict[str, Progress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._earlier_s = self.used_s
        self._started = time.monotonic()

    @classmethod
    def open(cls, folder: Path, plan: str) -> Journal:
        """Read the journal of a folder, or start one.

        Raises:
            ConfigError: it is damaged, or of another plan.
        """
        path = folder / NAME
        if not path.is_file():
            return cls(path, plan)
        try:
            content = read_json(path)
            steps = {name: Progress(**progress) for name, progress in content["steps"].items()}
            used_s, recorded = float(content["used_s"]), str(content["plan"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is damaged ({error}); choose another --output") from error
        if recorded != plan:
            raise ConfigError(
                f"{folder} holds a run of the plan {recorded}, not {plan}; choose another --output"
            )
        return cls(path, plan, used_s, steps)

    def of(self, name: str) -> Progress:
        """Return the progress of a step."""
        return self.steps.setdefault(name, Progress())

    def call_s(self) -> float:
        """Return the seconds of this call."""
        return time.monotonic() - self._started

    def total_s(self) -> float:
        """Return the seconds of all calls."""
        return self._earlier_s + self.call_s()

    def save(self) -> None:
        """Write the file."""
        self.used_s = round(self.total_s(), 1)
        steps = {name: asdict(progress) for name, progress in self.steps.items()}
        write_json(self.path, {"plan": self.plan, "used_s": self.used_s, "steps": steps})
