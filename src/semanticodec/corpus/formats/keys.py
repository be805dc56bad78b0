"""Keys: ids as tools allow them, in names of files, members of tars and lines of Kaldi's lists.

    speech/utt 1.5.wav   ->   speech/utt%201%2E5%2Ewav

Different ids have different keys, none leads out of its folder, and none has white space or a dot
(WebDataset takes everything behind the first one as the suffix).
"""

from __future__ import annotations

import hashlib
import re

LONGEST_PART = 200  # bytes: file systems allow 255, suffix included
LONGEST_KEY = 1000

# Letters and digits of all scripts stay. What WebDataset leaves out (`__name__`) loses its start.
_UNSAFE = re.compile(r"[^\w\-+=,@~]|^_(?=_.*__$)")


def key_of(id: str) -> str:
    """Return the key of an id; one too long for a file system has its digest instead."""
    parts = [_UNSAFE.sub(_quoted, part) or "%" for part in id.split("/")]
    key = "/".join(parts)
    is_long = any(len(part.encode()) > LONGEST_PART for part in parts)
    if is_long or len(key.encode()) > LONGEST_KEY:
        return f"%%{hashlib.sha256(id.encode()).hexdigest()}"
    return key


def _quoted(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())
