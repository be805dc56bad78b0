"""The plain benchmark: shares add up to a run, and the text shows every module."""

import json

import pytest

from semanticodec.benchmark.modules import MODULES, REST
from semanticodec.benchmark.run import run_benchmark, text_report
from semanticodec.benchmark.stages import STAGES, Runs
from semanticodec.errors import ConfigError

DESCRIBED = {"model": "tiny", "device": "cpu", "dtype": "float32", "runtime": "torch"}


@pytest.fixture(scope="module")
def report(tiny_codec):
    """Two windows to decode, with guidance at two of three steps."""
    options = {"num_steps": 3, "guidance_scale": 2.0, "guidance_interval": (0.3, 1.0)}
    runs = Runs(num_runs=2, seconds=11.0, decode_options=options)
    return run_benchmark(tiny_codec, runs, DESCRIBED)


@pytest.fixture(params=STAGES)
def stage(report, request):
    (found,) = [row for row in report["stages"] if row["name"] == request.param]
    return found


def test_shares_add_up_to_a_run(stage):
    modules = stage["modules"]
    assert {module["name"] for module in modules} == {*STAGES[stage["name"]], REST}
    seconds = [module["seconds"] for module in modules]
    assert sum(seconds) == pytest.approx(min(stage["seconds"]["runs"]), rel=1e-9)
    assert sum(module["share"] for module in modules) == pytest.approx(1)
    assert all(value >= 0 for value in seconds)


def test_stages_have_times_speed_and_memory(stage):
    assert len(stage["seconds"]["runs"]) == len(stage["cpu_seconds"]["runs"]) == 2
    assert stage["times_real_time"] == pytest.approx(11 / stage["seconds"]["median"])
    assert stage["peak_memory_mb"] > 1


def test_calls_are_counted(report):
    calls = {m["name"]: m["calls"] for row in report["stages"] for m in row["modules"]}
    assert calls["unet"] == 3 and calls["sampler"] == 1 and calls[REST] is None


def test_the_report_survives_json_and_says_what_was_measured(report):
    settings = json.loads(json.dumps(report))["settings"]
    assert settings["model"] == "tiny" and settings["sampling"]["num_steps"] == 3
    assert {"date", "machine", "versions"} <= set(report)


def test_the_text_has_every_module(report):
    text = text_report(report)
    assert text.startswith("tiny (100 tokens per second) on ")
    assert "3 steps, guidance 2; median of 2 runs" in text
    assert all(module.title in text for module in MODULES.values())
    assert "encode 11 s" in text and "decode 11 s" in text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"seconds": 0.0}, "a sound of 0 s is not measured; give 0.1 to 3600 seconds"),
        ({"num_runs": 0}, "0 runs measure nothing"),
    ],
)
def test_runs_that_measure_nothing_are_refused(values, text):
    with pytest.raises(ConfigError, match=text):
        Runs(**values)
