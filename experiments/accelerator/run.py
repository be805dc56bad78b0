"""The plan from packs to a measured model, resumable; what is done when time ends is exported.

OUT/recordings/     the packs, decoded
OUT/STEP/           run folder of each step; STEP/export is the module, in float16
OUT/evaluation/     what the model was measured to be, OUT/samples/ how it sounds and looks
OUT/journal.json    time, steps and errors
"""

from __future__ import annotations

import gc
import json
import math
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.accelerator.journal import Journal, Progress
from experiments.accelerator.packs import CLIPS, part_folders
from experiments.accelerator.plan import PLANS, PORTIONS, Step, allotted_s, steps_that_fit
from experiments.accelerator.recordings import unpack
from experiments.accelerator.results import EVALUATION, measure, model_folder
from semanticodec.checkpoints.pretrained import CONFIG_NAME
from semanticodec.files import read_json
from semanticodec.training.train import Recipe, RunOptions

# Seconds by which a portion may end early and still have used its time.
TOLERANCE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is run.

    Attributes:
        packs: folder that `pack` wrote.
        out: folder of the run.
        plan: name of the plan.
        minutes: time of the whole plan, over all calls.
        call_minutes: time after which this call stops, to be resumed by the next; None = no limit.
        device: to train on.
        num_jobs: threads that decode and cut audio.
    """

    packs: Path
    out: Path
    plan: str = "large"
    minutes: float = 12.0
    call_minutes: float | None = None
    device: str = "auto"
    num_jobs: int = 2


class PlanRun:
    """One call of the plan.

    Args:
        settings: what is run.
    Raises:
        ConfigError: the folder holds a run of another plan.
        DataError: the packs are missing.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.steps = PLANS[settings.plan]()
        self.parts = part_folders(settings.packs)
        self.recordings = settings.out / "recordings"
        self.journal = Journal.open(settings.out, settings.plan)

    def run(self) -> bool:
        """Do what is left, as far as the time goes; returns whether nothing failed.

        Raises:
            KeyboardInterrupt: a signal stopped it; the same call goes on.
        """
        settings = self.settings
        # Shapes repeat: the fastest convolutions are looked for once.
        torch.backends.cudnn.benchmark = True
        count = unpack(self.parts, self.recordings, num_jobs=settings.num_jobs)
        self._tell("recordings", f"{count} of {len(self.parts)} parts")
        waiting = [step for step in self.steps if not self.journal.of(step.name).is_finished]
        for number, step in enumerate(waiting):
            if self._call_left_s() <= 0:
                self._tell(step.name, "waits for the next call")
                return False
            try:
                self._do(step, waiting[number:])
            finally:
                self.journal.save()
        if self._call_left_s() <= 0:
            self._tell("evaluation", "waits for the next call")
            return False
        if waiting or not (settings.out / EVALUATION).is_dir():
            self._measure()
        self.journal.save()
        return all(progress.error is None for progress in self.journal.steps.values())

    def _do(self, step: Step, left: Sequence[Step]) -> None:
        """Do a step or go on with it; a failure is noted, for the next call to try again."""
        progress = self.journal.of(step.name)
        missing = [name for name in step.modules.values() if not self._export(name).is_dir()]
        if missing:
            progress.error = f"needs {', '.join(missing)}"
            self._tell(step.name, progress.error)
            return
        progress.error = None
        if progress.allotted_s is None:
            progress.allotted_s = round(allotted_s(left, self._left_s()), 1)
        try:
            recipe = step.make()
            if isinstance(recipe, Recipe):
                self._train(step, recipe, progress)
            else:
                recipe.run(self._options(step, progress))
                progress.is_finished = True
            self._tell(step.name, _described(progress))
        except Exception as error:
            # Whatever it is: a rented machine does not wait for a person to look.
            traceback.print_exc()
            progress.error = f"{type(error).__name__}: {error}"[:500]
            self._tell(step.name, f"failed: {progress.error}")
        _free_memory()

    def _train(self, step: Step, recipe: Recipe, progress: Progress) -> None:
        """Train in portions of the step's time, each with as many steps as will fit."""
        assert progress.allotted_s is not None
        total = recipe.train.steps
        overhead_s = 0.0
        for portion in PORTIONS:
            wanted_s = portion * progress.allotted_s - progress.used_s
            if wanted_s <= 0 and progress.num_steps:
                continue
            fit_s = max(min(wanted_s, self._call_left_s()) - overhead_s, 0.0)
            if progress.num_steps and progress.steps_per_second is not None:
                left_s = progress.allotted_s - progress.used_s - overhead_s
                total = steps_that_fit(progress.num_steps, progress.steps_per_second, left_s)
            is_resumed = progress.num_steps > 0
            spent_s = self._portion(step, recipe, progress, total, fit_s)
            if is_resumed:
                overhead_s = max(spent_s - fit_s, 0.0)
            if portion < 1.0:
                self._tell(step.name, _described(progress))
            if spent_s < fit_s - TOLERANCE_S and progress.num_steps < total:
                raise KeyboardInterrupt  # a signal, which the training has dealt with
            if self._call_left_s() <= 0 and portion < 1.0:
                return
        progress.is_finished = True

    def _portion(
        self, step: Step, recipe: Recipe, progress: Progress, total: int, fit_s: float
    ) -> float:
        """Train for some seconds, with half the batch where memory ends; returns the time."""
        started = time.monotonic()
        while True:
            options = self._options(step, progress, total, fit_s)
            try:
                recipe.run(options)
                break
            except torch.cuda.OutOfMemoryError:
                batch_size = progress.batch_size or recipe.train.batch_size
                if batch_size == 1:
                    raise
                progress.batch_size = batch_size // 2
            _free_memory()
            self._tell(step.name, f"out of memory: batches of {progress.batch_size}")
        record = read_json(self._export(step.name) / CONFIG_NAME)["training"]
        spent_s = time.monotonic() - started
        progress.num_steps = record["steps_done"]
        progress.used_s = round(progress.used_s + spent_s, 1)
        progress.steps_per_second = _last_speed(self.settings.out / step.name / "scalars.jsonl")
        self.journal.save()
        return spent_s

    def _options(
        self,
        step: Step,
        progress: Progress,
        total: int | None = None,
        fit_s: float | None = None,
    ) -> RunOptions:
        return RunOptions(
            data=(self.recordings,),
            out=self.settings.out / step.name,
            modules={name: self._export(source) for name, source in step.modules.items()},
            steps=total,
            batch_size=progress.batch_size,
            device=self.settings.device,
            num_jobs=self.settings.num_jobs,
            minutes=None if fit_s is None else fit_s / 60,
            is_half=True,
            show_progress=False,
        )

    def _measure(self) -> None:
        model = model_folder(self.settings.out)
        clips = self.settings.packs / CLIPS
        if model is None or not clips.is_dir():
            self._tell("evaluation", "left out: there is no model, or no clips")
            return
        for problem in measure(model, clips, self.settings.out, device=self.settings.device):
            self._tell("evaluation", problem)
        self._tell("evaluation", f"in {self.settings.out / EVALUATION}")

    def _export(self, name: str) -> Path:
        return self.settings.out / name / "export"

    def _left_s(self) -> float:
        """Return the seconds of the whole plan that are left."""
        return 60 * self.settings.minutes - self.journal.total_s()

    def _call_left_s(self) -> float:
        if self.settings.call_minutes is None:
            return math.inf
        return 60 * self.settings.call_minutes - self.journal.call_s()

    def _tell(self, name: str, text: str) -> None:
        minutes = self.journal.total_s() / 60
        print(f"{minutes:5.2f} of {self.settings.minutes:g} min  {name}: {text}", flush=True)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _described(progress: Progress) -> str:
    if progress.steps_per_second is None:
        return "done"
    return (
        f"{progress.num_steps} steps in {progress.used_s:.1f} of {progress.allotted_s:.1f} s, "
        f"{progress.steps_per_second:.2f} steps/s"
    )


def _last_speed(scalars: Path) -> float | None:
    """Return the last recorded speed of a run, in steps per second."""
    lines = scalars.read_text(encoding="utf-8").splitlines() if scalars.is_file() else []
    return float(json.loads(lines[-1])["steps_per_second"]) if lines else None
