"""A run from start to end: recipe + options -> run folder with checkpoints, curves and export."""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch

from semanticodec.errors import ConfigError
from semanticodec.training import distributed
from semanticodec.training.data import CropConfig, CropSource, Loader, Rank, Source
from semanticodec.training.monitor import Monitor
from semanticodec.training.stage import Stage
from semanticodec.training.state import (
    Snapshot,
    finish_export,
    load_snapshot,
    save_snapshot,
)
from semanticodec.training.trainer import TrainConfig, Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the command line says about a run; None keeps the recipe's value.

    Attributes:
        modules: Export folders of finished modules by name, for stages that build on others.
        init: Export folder to start the weights from.
        minutes: Stop (resumably) after this time.
        is_half: Export floats in 16 bits.
    """

    data: tuple[Path, ...]
    out: Path
    modules: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    init: Path | None = None
    steps: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    device: str = "cpu"
    num_threads: int | None = None
    num_workers: int = 2
    minutes: float | None = None
    is_half: bool = False
    show_progress: bool = True


@runtime_checkable
class Runnable(Protocol):
    """What a recipe function returns: all settings of a run, and how to run it."""

    def run(self, options: RunOptions) -> None:
        """Do the run and leave `options.out/export`."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run of gradient descent.

    Attributes:
        name: Recorded in checkpoints and exports, e.g. "audiomae/small".
        stage: The Stage class; `stage_config` its Config.
        crops: How audio is drawn.
        train: Settings of the loop.
        open_source: Turns the data folders into a source of items.
    """

    name: str
    stage: type[Stage]
    stage_config: Any
    crops: CropConfig
    train: TrainConfig
    open_source: Callable[[tuple[Path, ...], CropConfig], Source] = CropSource.find

    def run(self, options: RunOptions) -> None:
        """Train, or resume what `options.out` holds, and export."""
        train(self.with_options(options), options)

    def with_options(self, options: RunOptions) -> "Recipe":
        """Return the recipe with the options' overrides of steps, batch size, rate and seed."""
        if options.seed is not None and options.seed < 0:
            raise ConfigError(f"A seed of {options.seed} is not possible; give 0 or more.")
        if options.steps is not None and options.steps < 0:
            raise ConfigError(f"{options.steps} steps are not possible; give 0 or more.")
        if options.batch_size is not None and options.batch_size < 1:
            raise ConfigError(
                f"A batch size of {options.batch_size} is not possible; give 1 or more."
            )
        if options.num_workers < 1:
            raise ConfigError(f"{options.num_workers} workers cannot load audio; give 1 or more.")
        changes = {
            name: getattr(options, name)
            for name in ("steps", "batch_size", "seed")
            if getattr(options, name) is not None
        }
        if options.lr is not None:
            changes["optimizers"] = {
                group: dataclasses.replace(settings, lr=options.lr)
                for group, settings in self.train.optimizers.items()
            }
        return dataclasses.replace(self, train=dataclasses.replace(self.train, **changes))

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON values, for checkpoints and exports."""
        return {
            "recipe": self.name,
            "stage": self.stage.__name__,
            "stage_config": dataclasses.asdict(self.stage_config),
            "crops": dataclasses.asdict(self.crops),
            "train": dataclasses.asdict(self.train),
        }


def train(recipe: Recipe, options: RunOptions) -> None:
    """Train a recipe's stage until its last step, the time limit or a signal.

    Args:
        recipe: All settings, overrides already applied.
        options: Where the data is and where the run goes; a run folder with a checkpoint is
            resumed exactly where it stopped. All processes must see it.
    Raises:
        ConfigError: The run folder belongs to another recipe.
        DataError: The data cannot be used.
    """
    if options.num_threads is not None:
        torch.set_num_threads(options.num_threads)
    device = distributed.local_device(options.device)
    rank = distributed.start(device)
    try:
        _train(recipe, options, device, rank)
    finally:
        distributed.stop()


def _train(recipe: Recipe, options: RunOptions, device: torch.device, rank: Rank) -> None:
    checkpoints = options.out / "checkpoints"
    snapshot = load_snapshot(checkpoints)
    if snapshot is not None:
        _check_same_run(snapshot.description, recipe, options.out)
    trainer, source = _set_up(recipe, options, snapshot, device, rank)
    loader = Loader(
        source,
        seed=recipe.train.seed,
        batch_size=recipe.train.batch_size,
        rank=rank,
        num_threads=options.num_workers,
    )
    clock = _Clock(snapshot.description.get("seconds", 0.0) if snapshot is not None else 0.0)

    def save() -> None:
        if distributed.is_main():
            record = _record(recipe, clock, trainer.step, rank.world_size)
            save_snapshot(checkpoints, trainer.snapshot(record))
        distributed.barrier()

    with _monitor(recipe, options, trainer.step) as monitor, _stop_signals() as is_signalled:
        trainer.fit(
            loader,
            monitor=monitor,
            save=save,
            should_stop=lambda: is_signalled() or clock.is_over(options.minutes),
        )
    if distributed.is_main():
        trainer.export(options.out / "export")
        record = _record(recipe, clock, trainer.step, rank.world_size)
        finish_export(options.out / "export", record, half=options.is_half)
    distributed.barrier()


def _set_up(
    recipe: Recipe,
    options: RunOptions,
    snapshot: Snapshot | None,
    device: torch.device,
    rank: Rank,
) -> tuple[Trainer, Source]:
    """Make the stage, fresh, from an export or from the snapshot, and the source of its items."""
    # The same initial weights in every process.
    torch.manual_seed(recipe.train.seed)
    stage = recipe.stage.build(recipe.stage_config, options.modules)
    if options.init is not None and snapshot is None:
        stage.initialize(options.init)
    stage.to(device)
    audio = recipe.open_source(options.data, recipe.crops)
    source = stage.prepare(audio, folder=options.out, is_resumed=snapshot is not None)
    distributed.broadcast_from_main([*stage.parameters(), *stage.buffers()])
    trainer = Trainer(stage, recipe.train, device=device, rank=rank)
    if snapshot is not None:
        trainer.restore(snapshot)
    return trainer, source


@contextmanager
def _monitor(recipe: Recipe, options: RunOptions, first_step: int) -> Iterator[Monitor | None]:
    """Open the monitor in the main process."""
    if not distributed.is_main():
        yield None
        return
    monitor = Monitor(
        options.out,
        first_step=first_step,
        total_steps=recipe.train.steps,
        show_progress=options.show_progress,
    )
    try:
        yield monitor
    finally:
        monitor.close()


class _Clock:
    """Time of this process and of the whole run, over resumes."""

    def __init__(self, earlier_seconds: float):
        self._earlier_seconds = earlier_seconds
        self._started = time.monotonic()

    def total_seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def is_over(self, minutes: float | None) -> bool:
        return minutes is not None and time.monotonic() - self._started >= 60.0 * minutes


def _record(recipe: Recipe, clock: _Clock, step: int, world_size: int) -> dict[str, Any]:
    return {
        **recipe.describe(),
        "steps_done": step,
        "processes": world_size,
        "seconds": round(clock.total_seconds(), 1),
        "torch": torch.__version__,
    }


def _check_same_run(description: Mapping[str, Any], recipe: Recipe, out: Path) -> None:
    """Refuse to go on with other weights' settings; steps, rates and batches may change."""
    # Through JSON types, as tuples come back as lists.
    ours = {key: _plain(value) for key, value in recipe.describe().items()}
    settings = _with_defaults(recipe.stage_config, description.get("stage_config", {}))
    theirs = {"stage": description.get("stage"), "stage_config": settings}
    for key, value in theirs.items():
        if _plain(value) != ours[key]:
            raise ConfigError(
                f"{out} holds a run of {description.get('recipe')} whose {key} differs from "
                f"{recipe.name}'s. Resume with the same recipe or choose another --output."
            )


def _with_defaults(config: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an earlier run; what did not exist then has its default.

    Args:
        config: the present configuration, a dataclass instance.
        values: those of the earlier run, from JSON.
    """
    completed = dict(values)
    for item in dataclasses.fields(config):
        ours, found = getattr(config, item.name), values.get(item.name)
        if item.name not in values and item.default is not dataclasses.MISSING:
            completed[item.name] = item.default
        elif item.name not in values and item.default_factory is not dataclasses.MISSING:
            completed[item.name] = item.default_factory()
        elif dataclasses.is_dataclass(ours) and isinstance(found, Mapping):
            completed[item.name] = _with_defaults(ours, found)
    return completed


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks after every step."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            # Asked twice: do not wait for the step to end.
            raise KeyboardInterrupt
        received.append(number)

    try:
        previous = {
            number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:
        # Only the main thread may handle signals; elsewhere the caller stops the run.
        previous = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
