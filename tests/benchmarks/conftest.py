"""The tiny codec's benchmark, run once."""

import pytest

from benchmarks.modules import peaks
from benchmarks.modules.run import run_modules
from benchmarks.modules.settings import Settings
from semanticodec.benchmark.stages import Runs


@pytest.fixture(scope="session")
def report(tiny_codec):
    """All modules; two windows to decode, with guidance at two of three steps."""
    options = {"num_steps": 3, "guidance_scale": 2.0, "guidance_interval": (0.3, 1.0)}
    runs = Runs(num_runs=2, seconds=11.0, decode_options=options)
    settings = Settings(model="tiny", is_official_size=True, runs=runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peaks, "PRODUCT_SIZE", 64)
        patch.setattr(peaks, "FEWEST_RUNS", 1)
        return run_modules(tiny_codec, settings)
