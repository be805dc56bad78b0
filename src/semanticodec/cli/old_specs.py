"""Old forms of systems and features, KIND@SETTING=FOLDER,key=value:LAYERS, for one more version."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable

OLD_FORM = re.compile(
    r"(?P<kind>[^:@=,]*)(@(?P<setting>[^=,]*))?(=(?P<path>[^,]*))?(,(?P<rest>.*))?"
)
# The keys that their settings have become.
OLD_SETTINGS = {
    "opus": "kbps",
    "codec2": "mode",
    "speex": "quality",
    "encodec": "kbps",
    "dac": "books",
}


def current_specs(specs: Iterable[str], current_form: Callable[[str], str]) -> list[str]:
    """Return specifications as they are written now; a line on stderr names each that was old."""
    found = []
    for spec in specs:
        found.append(current_form(spec))
        if found[-1] != spec:
            print(f"semanticodec: {spec} is now written {found[-1]}", file=sys.stderr)
    return found


def current_form(text: str) -> str:
    """Return a specification as it is written now: `opus:kbps=6` for `opus@6`."""
    old = OLD_FORM.fullmatch(text.strip())
    if old is None or not re.match("[^:]*[@=,]", text):
        return text
    kind, setting, path, rest = old.group("kind", "setting", "path", "rest")
    parts = [] if setting is None else [f"{OLD_SETTINGS.get(kind, 'setting')}={setting}"]
    parts += [] if path is None else [f"path={path}"]
    parts += [] if rest is None else [rest]
    return f"{kind}:{','.join(parts)}"


def current_form_of_features(text: str) -> str:
    """Return a specification as it is written now: `model:layers=all` for `model:all`."""
    head, colon, layers = text.strip().rpartition(":")
    # In a path the colon of a drive (C:\\model) is followed by more of the path.
    if not colon or set(layers) & set("/\\,="):
        return current_form(text)
    head = current_form(head)
    return f"{head}{',' if ':' in head else ':'}layers={layers}"
