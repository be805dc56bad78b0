"""Settings of the loop that the runs of all stages have in common."""

from __future__ import annotations

from collections.abc import Mapping

from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.trainer import TrainConfig


def paper_run(
    *, steps: int, batch_size: int, optimizers: Mapping[str, OptimizerConfig]
) -> TrainConfig:
    """Return the settings of a run at the paper's size, for GPUs."""
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        optimizers=optimizers,
        ema_decay=0.9999,
        log_every=50,
        sample_every=5000,
        checkpoint_every=2000,
    )


def tiny_run(sample_every: int = 2) -> TrainConfig:
    """Return the settings of a run that takes seconds on one core: for tests, nothing is learned.

    Args:
        sample_every: steps from one set of samples to the next.
    """
    return TrainConfig(
        steps=4,
        batch_size=2,
        precision="float32",
        optimizers={"default": OptimizerConfig(lr=1e-3, warmup_steps=2)},
        log_every=1,
        sample_every=sample_every,
        checkpoint_every=2,
    )
