"""Laws of the run: batches that are too large, failures and signals end in no lost work."""

import json
from dataclasses import dataclass

import pytest
import torch

from experiments.accelerator import run as module
from experiments.accelerator.packs import pack
from experiments.accelerator.plan import Step
from experiments.accelerator.run import PlanRun, Settings
from semanticodec.errors import ConfigError
from semanticodec.files import write_json
from semanticodec.recipes import vae
from semanticodec.training.train import Recipe
from tiny_modules import write_audio


@dataclass(frozen=True, kw_only=True)
class Pretended(Recipe):
    """A run that does so many steps per call, with batches up to a size, and writes its record."""

    steps_per_call: int = 1_000_000
    largest_batch: int = 1000

    def run(self, options):
        batch_size = options.batch_size or self.train.batch_size
        if batch_size > self.largest_batch:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        export = options.out / "export"
        export.mkdir(parents=True, exist_ok=True)
        path = export / "config.json"
        done = json.loads(path.read_text())["training"]["steps_done"] if path.exists() else 0
        done = min(done + self.steps_per_call, options.steps)
        write_json(path, {"training": {"steps_done": done}})
        (options.out / "scalars.jsonl").write_text(json.dumps({"steps_per_second": 5.0}) + "\n")
        return export


def pretended(**changes):
    recipe = vae.tiny()
    fields = {name: getattr(recipe, name) for name in ("name", "stage", "stage_config", "crops")}
    return Pretended(**fields, train=recipe.train, **changes)


def broken():
    raise ValueError("nothing is there")


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that makes a run of some recipes, the second built on the first."""
    source = write_audio(tmp_path / "source", seconds=(0.3,))
    pack([source], tmp_path / "packs", num_parts=1, part_bytes=1 << 20)

    def make(first, second=pretended, **settings):
        steps = (
            Step(name="one", make=first, share=0.5),
            Step(name="two", make=second, share=0.4, modules={"one": "one"}),
        )
        monkeypatch.setitem(module.PLANS, "tiny", lambda: steps)
        given = {"plan": "tiny", "device": "cpu", **settings}
        return PlanRun(Settings(packs=tmp_path / "packs", out=tmp_path / "run", **given))

    return make


def progress(run, name):
    return json.loads(run.journal.path.read_text())["steps"][name]


def test_a_batch_that_does_not_fit_is_halved_for_good(planned, capsys):
    run = planned(lambda: pretended(largest_batch=1))
    assert run.run()
    assert progress(run, "one")["batch_size"] == 1
    assert progress(run, "two")["batch_size"] is None
    assert "out of memory: batches of 1" in capsys.readouterr().out


def test_the_number_of_steps_follows_the_speed(planned):
    run = planned(pretended, minutes=1.0)
    assert run.run()
    # Half of a minute at 5 steps per second; twice, as the first half took no time here.
    assert 290 <= progress(run, "one")["num_steps"] <= 330
    assert progress(run, "one")["allotted_s"] == pytest.approx(31.6, abs=1)


def test_a_failure_is_noted_and_the_next_call_tries_again(planned, capfd):
    run = planned(broken)
    assert not run.run()
    assert progress(run, "one")["error"] == "ValueError: nothing is there"
    assert progress(run, "two")["error"] == "needs one"
    assert "Traceback" in capfd.readouterr().err
    again = planned(pretended)
    assert again.run()
    assert progress(again, "one")["error"] is None and progress(again, "two")["is_finished"]


def test_a_signal_stops_the_plan_and_the_next_call_goes_on(planned):
    run = planned(lambda: pretended(steps_per_call=2))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert progress(run, "one")["num_steps"] == 2
    assert not progress(run, "one")["is_finished"]
    again = planned(pretended)
    assert again.run() and progress(again, "one")["num_steps"] > 2


def test_a_folder_keeps_its_plan(planned, tmp_path):
    run = planned(pretended)
    run.run()
    with pytest.raises(ConfigError, match="of the plan tiny, not large"):
        planned(pretended, plan="large")
    run.journal.path.write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        planned(pretended)
