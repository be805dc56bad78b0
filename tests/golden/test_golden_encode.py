"""The encoder with official weights against arrays computed by the official code.

Codes must be equal, except where the runner-up centroid is within `MARGIN` (squared distance):
there float32 rounding may decide.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest_golden import CLIPS, load
from torch import Tensor

from golden_weights import GOLDEN
from semanticodec import SemantiCodec, compat

MARGIN = 1e-2
