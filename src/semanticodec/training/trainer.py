"""The training loop that all stages share.

for each step:   batch = pure function of (seed, step, rank)
  for each optimizer group, in order:   micro-batches -> loss -> gradients -> mean over
                                        processes -> clip -> AdamW
  moving average of the weights;  scalars, samples, checkpoints at their intervals
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from semanticodec.errors import CheckpointError, ConfigError, SemantiCodecError
from semanticodec.layers.processes import sum_over_processes, world_size
from semanticodec.training import distributed
from semanticodec.training.data import Batch, Loader, Rank, item_seed
from semanticodec.training.ema import WeightAverage
from semanticodec.training.monitor import Monitor, Recent, Sample
from semanticodec.training.optimizer import OptimizerConfig, learning_rate, make_optimizer
from semanticodec.training.stage import Stage
from semanticodec.training.state import Snapshot, optimizer_tensors, restore_optimizers

MAX_SKIPPED_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the loop.

    Attributes:
        steps: optimizer steps of the whole run.
        batch_size: items per step and process.
        accumulation: number of micro-batches that a batch is cut into.
        precision: precision of the forward pass, bf16 by autocast; float32 all the same on
            processors without instructions for bf16, see `computes_bf16`.
        seed: random seed of weights, crops and noise.
        optimizers: settings by group name; `default` serves groups that are not named.
        averaged_groups: groups whose weights are averaged and exported; empty = the first.
        ema_decay: decay of the weights' moving average, per step; 0 keeps none.
        log_every: steps between records of the scalars.
        sample_every: steps between samples to look at and listen to.
        checkpoint_every: steps between checkpoints.
    """

    steps: int
    batch_size: int
    accumulation: int = 1
    precision: Literal["bf16", "float32"] = "bf16"
    seed: int = 0
    optimizers: Mapping[str, OptimizerConfig]
    averaged_groups: tuple[str, ...] = ()
    ema_decay: float = 0.999
    log_every: int = 10
    sample_every: int = 1000
    checkpoint_every: int = 500


def computes_bf16(device: torch.device) -> bool:
    """Say whether bf16 is not slower there: x86 without instructions for it is 60 times slower."""
    if device.type != "cpu":
        return True
    able = torch.cpu.get_capabilities()
    return able["architecture"] != "x86_64" or able["avx512_bf16"] or able["amx_bf16"]


class Trainer:
    """Trains one stage; its state is the step, the weights, the averages and the optimizers."""

    def __init__(self, stage: Stage, config: TrainConfig, *, device: torch.device, rank: Rank):
        if config.batch_size % config.accumulation:
            raise ConfigError(
                f"A batch of {config.batch_size} cannot be cut into {config.accumulation} equal "
                "micro-batches; choose a multiple."
            )
        self.stage = stage
        self.config = config
        self.device = device
        self.rank = rank
        self.step = 0
        self.skipped_in_a_row = 0
        self.groups = stage.optimizer_groups()
        self.optimizers = {
            name: make_optimizer(parameters, self._settings(name))
            for name, parameters in self.groups.items()
        }
        self.names: dict[Tensor, str] = {p: name for name, p in stage.named_parameters()}
        self.is_bf16 = config.precision == "bf16" and computes_bf16(device)
        averaged = config.averaged_groups or tuple(self.groups)[:1]
        self.average = WeightAverage(
            {self.names[p]: p for group in averaged for p in self.groups[group]},
            config.ema_decay,
        )

    def _settings(self, group: str) -> OptimizerConfig:
        settings = self.config.optimizers.get(group) or self.config.optimizers.get("default")
        if settings is None:
            raise ConfigError(
                f"The recipe has optimizer settings for {', '.join(self.config.optimizers)} but "
                f"not for the group {group!r}; add it or `default`."
            )
        return settings

    def snapshot(self, description: Mapping[str, Any]) -> Snapshot:
        """Return everything that `restore` needs."""
        return Snapshot(
            step=self.step,
            weights=self.stage.state_dict(),
            averages=self.average.averages,
            optimizer=optimizer_tensors(self.optimizers, self.names),
            description=description,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot exactly.

        Raises:
            CheckpointError: the snapshot belongs to another stage or configuration.
        """
        try:
            self.stage.load_state_dict(dict(snapshot.weights))
        except RuntimeError as error:
            raise CheckpointError(
                f"The checkpoint does not fit this recipe: {error}. Resume with the recipe that "
                "the run was started with, or choose another output folder."
            ) from error
        if set(snapshot.averages) != set(self.average.averages):
            raise CheckpointError(
                "The checkpoint averages other weights than this recipe. Resume with the recipe "
                "that the run was started with."
            )
        for name, average in self.average.averages.items():
            average.copy_(snapshot.averages[name])
        restore_optimizers(snapshot.optimizer, self.optimizers, self.names)
        self.step = snapshot.step

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Train every active group on one batch and return the recorded values."""
        assert batch.step == self.step, (batch.step, self.step)
        # For dropout only: stages draw everything else from the items' generators.
        noise_seed = item_seed(self.config.seed, self.step, 2**31 + self.rank.index)
        torch.manual_seed(int(noise_seed.generate_state(1)[0]))
        self.stage.train()
        on_device = batch.to(self.device)
        values: dict[str, float] = {}
        is_skipped = False
        for group in self.stage.active_groups(self.step):
            with self._only_trainable(group):
                group_values, is_finite = self._train_group(group, on_device)
            values.update(group_values)
            is_skipped = is_skipped or not is_finite
        if not is_skipped:
            self.average.update(self.step)
        self._count_skipped(is_skipped)
        self.step += 1
        return values

    @contextmanager
    def _only_trainable(self, group: str) -> Iterator[None]:
        """Spare the gradients of all other groups (a discriminator in the generator's turn)."""
        others = [p for name, members in self.groups.items() if name != group for p in members]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def _train_group(self, group: str, batch: Batch) -> tuple[dict[str, float], bool]:
        optimizer, parameters = self.optimizers[group], self.groups[group]
        settings = self._settings(group)
        rate = learning_rate(settings, self.step, self.config.steps)
        optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        parts = self.config.accumulation
        for micro_batch in batch.split(parts):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
                output = self.stage.training_step(micro_batch, group)
            (output.loss / parts).backward()
            loss_name = "loss" if len(self.groups) == 1 else f"loss_{group}"
            for name, value in {loss_name: output.loss, **output.scalars}.items():
                scalar = torch.as_tensor(value, dtype=torch.float32, device=self.device).detach()
                totals[name] = totals.get(name, torch.zeros_like(scalar)) + scalar / parts
        distributed.average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        stacked = torch.stack([*totals.values()])
        mean = sum_over_processes(stacked) / world_size()
        values = dict(zip(totals, mean.tolist(), strict=True))
        # Loss and norm are sums over all processes: every process decides alike.
        is_finite = math.isfinite(values[loss_name]) and math.isfinite(norm.item())
        if is_finite:
            for torch_group in optimizer.param_groups:
                torch_group["lr"] = rate
            optimizer.step()
        return {**values, f"grad_norm_{group}": norm.item(), f"lr_{group}": rate}, is_finite

    def _count_skipped(self, is_skipped: bool) -> None:
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if is_skipped else 0
        if self.skipped_in_a_row >= MAX_SKIPPED_STEPS:
            raise SemantiCodecError(
                f"The loss or its gradient was not finite in {MAX_SKIPPED_STEPS} steps in a row "
                f"(up to step {self.step}); nothing was learned from them. Start again from the "
                "last checkpoint with a lower --lr, or look for broken recordings."
            )

    def fit(
        self,
        loader: Loader,
        *,
        monitor: Monitor | None,
        save: Callable[[], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Train until the configured step or until `should_stop` says so in any process.

        Args:
            loader: loader of the batches of every step.
            monitor: receiver of scalars and samples; None on all processes but the main one.
            save: function that writes a checkpoint; every process calls it at the interval and at
                the end.
            should_stop: function that is asked after every step.
        """
        config = self.config
        saved_step = self.step
        if self.step >= config.steps:
            return
        recent = Recent()
        batches = loader.batches(self.step)
        try:
            for batch in batches:
                values = self.train_step(batch)
                recent.add(values)
                if monitor is not None:
                    monitor.advance({k: v for k, v in values.items() if k.startswith("loss")})
                    if self.step % config.log_every == 0 or self.step == 1:
                        speed = {"steps_per_second": recent.steps_per_second()}
                        monitor.scalars(self.step, {**recent.means(), **speed})
                        recent = Recent()
                    if self.step % config.sample_every == 0:
                        monitor.samples(self.step, self._samples(batch))
                if self.step % config.checkpoint_every == 0:
                    save()
                    saved_step = self.step
                if self.step >= config.steps:
                    break
                if distributed.any_process(should_stop(), self.device):
                    break
        finally:
            batches.close()
        if saved_step != self.step:
            save()

    @torch.no_grad()
    def _samples(self, batch: Batch) -> dict[str, Sample]:
        # Same items as the step, but fresh generators: looking must not change the training.
        seeds = [generator.initial_seed() for generator in batch.generators]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        copy = replace(batch, generators=generators)
        self.stage.eval()
        with self.average.applied():
            return self.stage.samples(copy.to(self.device))

    def export(self, folder: Path) -> None:
        """Export the stage's module with averaged weights."""
        self.stage.eval()
        with self.average.applied():
            self.stage.export(folder)
