"""A clip to reconstruct, and sounds whose delay and length can be measured."""

from pathlib import Path

import numpy as np
import pytest

from semanticodec.evaluation.suites import Clip


@pytest.fixture
def clip():
    return Clip(name="speech/a", domain="speech", path=Path("a.wav"))


@pytest.fixture
def noise():
    """Return float32 noise of any length, the same for the same length."""

    def make(num_samples):
        return np.random.default_rng(num_samples).normal(0, 0.1, num_samples).astype(np.float32)

    return make
