"""Post-screening of ITU-R BS.1534-3: whose scores do not count.

A listener is left out who, on more than 15 % of the pages,

    - rates the hidden reference below 90, or
    - rates the anchor of 7 kHz above 90. Pages where more than 25 % of the listeners do so are no
      fault of theirs (the clip has nothing up there) and are not held against anybody.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

THRESHOLD = 90
MAX_SHARE = 0.15
MAX_LISTENERS = 0.25

REFERENCE_REASON = f"hidden reference below {THRESHOLD}"
ANCHOR_REASON = f"anchor of 7 kHz above {THRESHOLD}"


def post_screen(
    values: Float[np.ndarray, "N P C"], reference: int, mid_anchor: int | None
) -> list[str | None]:
    """Return why each listener is left out, None for those who count.

    Args:
        values: scores from 0 to 100.
        reference: index of the hidden reference among the conditions.
        mid_anchor: that of the anchor of 7 kHz; None in a test without it.
    Source: BS.1534-3 Sec. 4.1.2.
    """
    reasons: list[str | None] = [None] * len(values)
    if mid_anchor is not None and len(values):
        is_fooled = values[..., mid_anchor] > THRESHOLD  # N P
        is_telling = is_fooled.mean(axis=0) <= MAX_LISTENERS  # P
        _add(reasons, is_fooled & is_telling, f"{ANCHOR_REASON} on {{}} of {{}} pages")
    _add(reasons, values[..., reference] < THRESHOLD, f"{REFERENCE_REASON} on {{}} of {{}} pages")
    return reasons


def _add(reasons: list[str | None], is_wrong: Bool[np.ndarray, "N P"], text: str) -> None:
    num_pages = is_wrong.shape[1]
    for listener, count in enumerate(is_wrong.sum(axis=1)):
        if count > MAX_SHARE * num_pages:
            reasons[listener] = text.format(count, num_pages)
