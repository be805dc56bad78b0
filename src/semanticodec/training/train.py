"""A run from start to end: recipe + options -> run folder with checkpoints, curves and export."""

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch

from semanticodec.config import config_from_dict, config_to_dict
from semanticodec.errors import ConfigError
from semanticodec.runs import described, differences
from semanticodec.training import distributed
from semanticodec.training.data import CropConfig, CropSource, Loader, Rank, Source
from semanticodec.training.monitor import Monitor
from semanticodec.training.stage import Stage
from semanticodec.training.state import (
    Snapshot,
    finish_export,
    load_snapshot,
    make_run_folder,
    save_snapshot,
)
from semanticodec.training.trainer import TrainConfig, Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the command line says about a run; None keeps the recipe's value.

    Attributes:
        data: sources of audio: folders, manifests, shards.
        out: folder of the run.
        modules: export folders of finished modules by name, for stages that build on others.
        init: export folder of the initial weights.
        steps: number of optimizer steps of the whole run.
        batch_size: number of items per step and process.
        lr: learning rate of all groups after their warm-up.
        seed: random seed of weights, crops and noise.
        device: torch's name of the device, or `auto`.
        num_threads: number of CPU threads of the model.
        num_jobs: number of threads that load audio.
        features: folder on this machine that keeps the features of codebook runs.
        minutes: time after which the run stops, to be resumed by the next one.
        is_half: whether to export floats in 16 bits.
        show_progress: whether to draw a progress bar.
    Raises:
        ConfigError: A number out of range.
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
    num_jobs: int = 2
    features: Path | None = None
    minutes: float | None = None
    is_half: bool = False
    show_progress: bool = True

    def __post_init__(self) -> None:
        for what, value, least in (
            (f"A seed of {self.seed} is", self.seed, 0),
            (f"{self.steps} steps are", self.steps, 0),
            (f"A batch size of {self.batch_size} is", self.batch_size, 1),
            (f"{self.num_threads} CPU threads are", self.num_threads, 1),
            (f"{self.num_jobs} jobs that load audio are", self.num_jobs, 1),
            (f"A time limit of {self.minutes} minutes is", self.minutes, 0),
        ):
            if value is not None and not value >= least:
                raise ConfigError(f"{what} not possible; give {least} or more.")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise ConfigError(f"A learning rate of {self.lr} is not possible; give one above 0.")


@runtime_checkable
class Runnable(Protocol):
    """What a recipe function returns: all settings of a run, and how to run it."""

    def run(self, options: RunOptions) -> Path | None:
        """Do the run and return the folder of its export; None in all processes but the main."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run of gradient descent.

    Attributes:
        name: name in checkpoints and exports, e.g. "audiomae/small".
        stage: class of the stage; `stage_config` is its Config.
        crops: settings of drawing audio.
        train: settings of the loop.
        open_source: function that turns the data folders into a source of items.
    """

    name: str
    stage: type[Stage]
    stage_config: Any
    crops: CropConfig
    train: TrainConfig
    open_source: Callable[[tuple[Path, ...], CropConfig], Source] = CropSource.find

    def run(self, options: RunOptions) -> Path | None:
        """Train, or resume what `options.out` holds, and export; see `train`."""
        return train(self.with_options(options), options)

    def with_options(self, options: RunOptions) -> "Recipe":
        """Return the recipe with the options' overrides of steps, batch size, rate and seed."""
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
            "stage_config": config_to_dict(self.stage_config),
            "crops": config_to_dict(self.crops),
            "train": config_to_dict(self.train),
        }


def train(recipe: Recipe, options: RunOptions) -> Path | None:
    """Train a recipe's stage until its last step, the time limit or a signal.

    Args:
        recipe: all settings, overrides already applied.
        options: folders of the data and of the run, and more; a run folder with a checkpoint is
            resumed exactly where it stopped. All processes must see it.
    Returns:
        The folder of the export; None in all processes but the main one, which writes it.
    Raises:
        ConfigError: the run folder belongs to another recipe, or nothing can be written there.
        DataError: the data cannot be used.
    """
    if options.num_threads is not None:
        torch.set_num_threads(options.num_threads)
    device = distributed.local_device(options.device)
    make_run_folder(options.out)
    rank = distributed.start(device)
    try:
        return _train(recipe, options, device, rank)
    finally:
        distributed.stop()


def _train(recipe: Recipe, options: RunOptions, device: torch.device, rank: Rank) -> Path | None:
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
        num_threads=options.num_jobs,
    )
    earlier_s = snapshot.description.get("seconds", 0.0) if snapshot is not None else 0.0
    started = time.monotonic()

    def record() -> dict[str, Any]:
        return {
            **recipe.describe(),
            "steps_done": trainer.step,
            "processes": rank.world_size,
            "seconds": round(earlier_s + time.monotonic() - started, 1),
            "torch": torch.__version__,
        }

    def save() -> None:
        if distributed.is_main():
            save_snapshot(checkpoints, trainer.snapshot(record()))
        distributed.barrier()

    def is_over() -> bool:
        minutes = math.inf if options.minutes is None else options.minutes
        return time.monotonic() - started >= 60.0 * minutes

    monitor = _monitor(recipe, options, trainer.step)
    with closing(monitor) if monitor else nullcontext(), _stop_signals() as is_signaled:
        trainer.fit(
            loader, monitor=monitor, save=save, should_stop=lambda: is_signaled() or is_over()
        )
    export = options.out / "export" if distributed.is_main() else None
    if export is not None:
        trainer.export(export)
        finish_export(export, record(), half=options.is_half)
        trainer.stage.export_aids(options.out, trainer.step)
    distributed.barrier()
    return export


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
    source = stage.prepare(
        audio,
        folder=options.out,
        is_resumed=snapshot is not None,
        show_progress=options.show_progress,
    )
    distributed.broadcast_from_main([*stage.parameters(), *stage.buffers()])
    trainer = Trainer(stage, recipe.train, device=device, rank=rank)
    if snapshot is not None:
        trainer.restore(snapshot)
    return trainer, source


def _monitor(recipe: Recipe, options: RunOptions, first_step: int) -> Monitor | None:
    """Return the monitor; only the main process has one."""
    if not distributed.is_main():
        return None
    return Monitor(
        options.out,
        first_step=first_step,
        total_steps=recipe.train.steps,
        show_progress=options.show_progress,
    )


def _check_same_run(description: Mapping[str, Any], recipe: Recipe, out: Path) -> None:
    """Refuse to resume with other weights' settings; steps, rates and batches may change."""
    recorded = {name: description.get(name, {}) for name in ("stage", "stage_config")}
    with suppress(ConfigError):  # settings of another stage, or of a newer version
        # Those that did not exist then have their defaults.
        earlier = config_from_dict(type(recipe.stage_config), recorded["stage_config"])
        recorded["stage_config"] = config_to_dict(earlier)
    ours = recipe.describe()
    found = differences(recorded, {name: ours[name] for name in recorded})
    if found:
        raise ConfigError(
            f"{out} holds a run of {description.get('recipe')} whose "
            f"{found[0].name.partition('.')[0]} differs from {recipe.name}'s ({described(found)}). "
            "Resume with the same recipe or choose another --output."
        )


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
