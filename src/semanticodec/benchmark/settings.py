"""What to measure: the boxes by name, and how often. No torch here: the command's help reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from semanticodec.errors import ConfigError

# Everything that can be measured, in order of execution, and what reports call it.
BOXES = MappingProxyType(
    {
        "fbank": "filter bank",
        "audiomae": "AudioMAE",
        "semantic": "semantic code search",
        "lstm": "acoustic encoder (LSTM)",
        "acoustic": "acoustic code search",
        "context": "T-UNet, keys and values of the codes",
        "unet": "T-UNet, one step",
        "sampler": "sampler, all steps",
        "vae": "VAE decoder",
        "vocoder": "vocoder",
        "encode": "encode",
        "decode": "decode",
    }
)
# Time of a whole that no box accounts for.
REST = "rest"
# What the boxes are held against.
PRODUCT, ONEDNN_PRODUCT = "matrix product", "matrix product, oneDNN"
CONVOLUTION, CHANNELS_LAST = "convolution", "convolution, channels last"
FEWEST_RUNS = 1
SHORTEST_S, LONGEST_S = 0.1, 3600.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One run of the benchmark.

    Attributes:
        model: what reports call the model.
        is_official_size: the official sizes, to compare with the official code's times.
        device: "cpu", "cuda", ...
        dtype: precision of everything after the quantizers.
        runtime: what computes it, a name of `semanticodec.runtimes`.
        boxes: names from `BOXES`.
        num_runs: of every box, after one that does not count.
        seconds: length of the sound for `encode` and `decode`.
        decode_options: keyword arguments for `SemantiCodec.sampling`; the model's own where left
            out.
        batch_size: windows that `decode` computes together (None: as many as it chooses).
    """

    model: str
    is_official_size: bool = False
    device: str = "cpu"
    dtype: str = "float32"
    runtime: str = "torch"
    boxes: tuple[str, ...] = tuple(BOXES)
    num_runs: int = 5
    seconds: float = 10.24
    decode_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_boxes(self.boxes)
        if self.num_runs < FEWEST_RUNS:
            raise ConfigError(f"{self.num_runs} runs measure nothing; give at least {FEWEST_RUNS}")
        if not SHORTEST_S <= self.seconds <= LONGEST_S:
            raise ConfigError(
                f"a sound of {self.seconds:g} s is not measured; "
                f"give {SHORTEST_S:g} to {LONGEST_S:g} seconds"
            )


def check_boxes(names: tuple[str, ...]) -> None:
    """Refuse names of boxes that there are not.

    Raises:
        ConfigError: an unknown name, or none at all.
    """
    unknown = [name for name in names if name not in BOXES]
    if unknown or not names:
        raise ConfigError(
            f"there is no box {', '.join(unknown) or 'to measure'}; choose from {', '.join(BOXES)}"
        )
