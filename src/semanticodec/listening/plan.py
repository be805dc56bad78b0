"""What a listening test consists of: pages, each with one clip as every condition renders it.

    TEST/plan.json                  this file's dataclasses
    TEST/audio/0003/SYSTEM.wav      16 kHz mono, aligned in loudness, equally long on one page

The first page is for training: its answers are kept, and never counted.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semanticodec.errors import DataError
from semanticodec.files import json_digest, read_json, write_json

PLAN_NAME = "plan.json"
FORMAT = 1

MUSHRA, ABX = "mushra", "abx"
MODES = (MUSHRA, ABX)

REFERENCE = "reference"
ANCHOR = "anchor"
SYSTEM = "system"
ROLES = (REFERENCE, ANCHOR, SYSTEM)

# BS.1534-3 allows nine systems beside the hidden reference and two anchors.
MAX_CONDITIONS = 12
NUM_COMPARED = 2


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a clip goes through before it is heard.

    Attributes:
        name: name in reports; listeners never see it.
        role: "reference" (the hidden one), "anchor" or "system".
        kbps: kilobits per second that were spent on the pages' clips; None: unknown, or none were.
        spec: specification of a system, "" for the others.
    """

    name: str
    role: str
    kbps: float | None = None
    spec: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A clip to judge.

    Attributes:
        clip: name of the clip.
        domain: kind of sound, such as `speech`.
        sounds: path below the test folder by condition.
        repeat: number of earlier pages with the same clip.
    """

    clip: str
    domain: str
    sounds: dict[str, str]
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A listening test.

    Attributes:
        title: what listeners and reports call it.
        mode: "mushra" (rate all conditions) or "abx" (tell which of two X is).
        seed: what the orders of pages and conditions follow from, with the listener.
        duration_s: clips are cut to so many seconds.
        conditions: the hidden reference, anchors and systems; in "abx" two systems, A and B.
        pages: the training page and those that count, in the order of the suite.
    """

    title: str
    mode: str
    seed: int
    duration_s: float
    conditions: tuple[Condition, ...]
    pages: tuple[Page, ...]

    @property
    def names(self) -> list[str]:
        """Names of the conditions."""
        return [condition.name for condition in self.conditions]

    @property
    def fingerprint(self) -> str:
        """What tells this test from another: ratings belong to one only."""
        return json_digest(asdict(self))

    @property
    def counted(self) -> range:
        """Indices of the pages that count."""
        return range(1, len(self.pages))

    def index_of(self, role: str) -> list[int]:
        """Return the indices of the conditions of a role."""
        return [i for i, condition in enumerate(self.conditions) if condition.role == role]


def write_plan(folder: Path, plan: Plan) -> None:
    """Write `plan.json`."""
    write_json(folder / PLAN_NAME, {"format": FORMAT, **asdict(plan)})


def read_plan(folder: Path) -> Plan:
    """Return the plan of a test folder.

    Raises:
        DataError: the folder holds none, or one that is damaged or of another version.
    """
    path = folder / PLAN_NAME
    try:
        content = read_json(path)
        if content.pop("format") != FORMAT:
            raise DataError(f"{path} is of another version of this program; build the test again")
        plan = _plan(content)
    except OSError as error:
        raise DataError(
            f"{folder} holds no listening test (no {PLAN_NAME}); make one with "
            "`semanticodec mushra build`"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is damaged ({error}); build the test again") from error
    _check(plan, folder)
    return plan


def _plan(content: dict[str, Any]) -> Plan:
    conditions = tuple(Condition(**condition) for condition in content.pop("conditions"))
    pages = tuple(Page(**page) for page in content.pop("pages"))
    return Plan(conditions=conditions, pages=pages, **content)


def _check(plan: Plan, folder: Path) -> None:
    """Refuse a plan that cannot be played; paths may not lead out of the folder."""
    root = folder.resolve()
    is_sound = plan.mode in MODES and all(c.role in ROLES for c in plan.conditions)
    is_sound = is_sound and len(plan.conditions) <= MAX_CONDITIONS and len(plan.pages) > 1
    if not is_sound or any(set(page.sounds) != set(plan.names) for page in plan.pages):
        raise DataError(f"{folder / PLAN_NAME} is damaged (a part is missing); build it again")
    for page in plan.pages:
        for sound in page.sounds.values():
            path = (folder / sound).resolve()
            if not path.is_relative_to(root) or not path.is_file():
                raise DataError(f"{folder} lacks {sound}; build the test again")


def sound_name(condition: str) -> str:
    """Return a condition's name as a file may be called."""
    return re.sub(r"[^\w.@=,+-]+", "_", condition)
