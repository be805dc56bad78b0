"""The tiny codec's benchmark, run once."""

import pytest

from semanticodec.benchmark import peaks
from semanticodec.benchmark.run import run_benchmark
from semanticodec.benchmark.settings import Settings


@pytest.fixture(scope="session")
def report(tiny_codec):
    """All boxes; two windows to decode, with guidance at two of three steps."""
    options = {"num_steps": 3, "guidance_scale": 2.0, "guidance_interval": (0.3, 1.0)}
    settings = Settings(
        model="tiny", is_official_size=True, num_runs=2, seconds=11.0, decode_options=options
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peaks, "PRODUCT_SIZE", 64)
        patch.setattr(peaks, "FEWEST_RUNS", 1)
        return run_benchmark(tiny_codec, settings)
