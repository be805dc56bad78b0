"""The loop of the tiny runs, which the tests take: every part is there, nothing is learned."""

from __future__ import annotations

from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.trainer import TrainConfig


def tiny_run(sample_every: int = 2) -> TrainConfig:
    """Return the settings of a run that takes seconds on one core.

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
