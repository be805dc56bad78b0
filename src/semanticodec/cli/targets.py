"""Different names for results that would have one.

x.wav x.flac          x.wav.smtc x.flac.smtc        the whole name, if that tells them apart
a/x.wav b/x.wav       out/a/x.smtc out/b/x.smtc     else the folders below the common one
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from semanticodec.cli.inputs import Input
from semanticodec.cli.standard_streams import print_to_stderr

ROUNDS = 3  # folders, then whole names, then the whole names of others that these have met


def kept_apart(
    items: Sequence[Input], targets: Sequence[Path | None], ending: str
) -> list[Path | None]:
    """Return the targets with other names for those that clash; one line on stderr says so.

    Args:
        items: inputs.
        targets: file for the result of each input; None for stdout, which is left as it is.
        ending: what replaces an input's suffix.
    Returns:
        The targets. Those that no rule keeps apart are still equal.
    """
    apart = list(targets)
    for _ in range(ROUNDS):
        for numbers in _clashes(apart):
            group = [items[number] for number in numbers]
            for number, target in zip(numbers, _renamed(group, apart[numbers[0]], ending)):
                apart[number] = target
    changed = [number for number, target in enumerate(apart) if target != targets[number]]
    if changed:
        examples = " and ".join(str(apart[number]) for number in changed[:2])
        print_to_stderr(
            f"semanticodec: inputs of one name give results of different names, such as {examples}"
        )
    return apart


def _clashes(targets: Sequence[Path | None]) -> list[list[int]]:
    """Return the numbers of the targets that are the same file, group by group."""
    groups = defaultdict(list)
    for number, target in enumerate(targets):
        if target is not None:
            groups[os.path.realpath(target)].append(number)
    return [numbers for numbers in groups.values() if len(numbers) > 1]


def _renamed(group: Sequence[Input], target: Path | None, ending: str) -> list[Path]:
    """Return other targets for inputs whose results would all be `target`."""
    assert target is not None
    names = [item.relative.name for item in group]
    if len(set(names)) == len(names):
        return [target.with_name(name + ending) for name in names]
    # Folders are made below the one that all results go to.
    root = target.parents[max(len(item.relative.parts) for item in group) - 1]
    paths = [Path(os.path.realpath(item.path or item.relative)) for item in group]
    common = os.path.commonpath([path.parent for path in paths])
    places = [path.relative_to(common).parent for path in paths]
    return [root / place / target.name for place in places]
