"""Pictures: the losses of a training, and a continuation's spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from jaxtyping import Float
from torch import Tensor

from semanticodec.token_format import SAMPLE_RATE


def draw_losses(report: Mapping[str, Any], path: Path) -> None:
    """Draw the losses of `training.train` by epoch, with those of counts as lines."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axis, stream in zip(axes, ("semantic", "acoustic")):
        epochs = [each["epoch"] for each in report["model"] if each["epoch"]]
        values = [each[stream] for each in report["model"] if each["epoch"]]
        axis.plot(epochs, values, "o-", label="GPT")
        for number, (name, found) in enumerate(report["counts"].items(), start=1):
            axis.axhline(found[stream], color=f"C{number}", linestyle="--", label=name)
        axis.set(title=f"{stream} codes", xlabel="epochs", ylabel="nats per id, held out")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_continuation(wav: Float[Tensor, " S"], prompt_s: float, path: Path) -> None:
    """Draw the spectrogram of a prompt and what follows it, with a line between them."""
    figure, axis = plt.subplots(figsize=(8, 2.5), layout="constrained")
    axis.specgram(wav.numpy(), NFFT=512, Fs=SAMPLE_RATE, noverlap=352, vmin=-140, vmax=-40)
    axis.axvline(prompt_s, color="white", linestyle="--")
    axis.set(xlabel="seconds; the prompt ends at the line", ylabel="Hz")
    figure.savefig(path, dpi=100)
    plt.close(figure)
