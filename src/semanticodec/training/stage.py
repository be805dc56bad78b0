"""What the training loop asks of a stage: a loss per group of parameters, and what is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch, Source
from semanticodec.training.monitor import Sample


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """Loss to descend and values to record; both are means over the items of the batch."""

    loss: Tensor
    scalars: Mapping[str, Tensor | float] = field(default_factory=dict)


class Stage(nn.Module):
    """One module in training: what is optimized, on which loss, and what is exported.

    A subclass has a frozen dataclass `Config` and takes it first. Everything that must
    survive a resume is a parameter or a buffer.
    """

    @classmethod
    def build(cls, config: Any, modules: Mapping[str, Path]) -> Stage:
        """Make the stage.

        Args:
            config: all settings of the stage.
            modules: exports of finished modules by name, for stages that build on some.
        Raises:
            ConfigError: A module is given that the stage has no use for, or one is missing.
        """
        if modules:
            raise ConfigError(
                f"{cls.__name__} builds on no other module but got {', '.join(modules)}; leave "
                "out --module."
            )
        return cls(config)

    def prepare(
        self, source: Source, *, folder: Path, is_resumed: bool, show_progress: bool = True
    ) -> Source:
        """Run once before training: may start codebooks or put a cache before the source.

        Args:
            source: audio of the recipe.
            folder: the run's folder.
            is_resumed: weights and statistics come from a checkpoint afterwards.
            show_progress: draw progress bars, where stderr is a terminal.
        """
        return source

    def initialize(self, folder: Path) -> None:
        """Start from the weights of an earlier export (`--init`)."""
        raise ConfigError(f"{type(self).__name__} cannot start from an export; leave out --init.")

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the trained parameters by group, in the order of training within a step."""
        raise NotImplementedError

    def active_groups(self, step: int) -> list[str]:
        """Return the groups to train at `step` (a discriminator may start late)."""
        return list(self.optimizer_groups())

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of one group for one (micro-)batch, already on the device."""
        raise NotImplementedError

    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return what a person should see and hear of a batch (called without gradients)."""
        return {}

    def export_aids(self, run: Path, steps: int) -> None:
        """Write beside the export what only further runs have a use for: nothing, by default.

        Args:
            run: folder of the run.
            steps: number of steps done.
        """

    def export(self, folder: Path) -> None:
        """Write the trained module; the trainer has put the averaged weights in place."""
        raise NotImplementedError
