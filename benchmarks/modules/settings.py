"""What to measure: the modules by name, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from semanticodec.benchmark.stages import Runs
from semanticodec.errors import ConfigError

# Everything that can be measured, in order of execution, and what reports call it.
TITLES = MappingProxyType(
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
# What the modules are held against.
PRODUCT, ONEDNN_PRODUCT = "matrix product", "matrix product, oneDNN"
CONVOLUTION, CHANNELS_LAST = "convolution", "convolution, channels last"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One run of the benchmark.

    Attributes:
        model: name of the model in reports.
        runs: number of runs, and the input of the whole stages.
        is_official_size: whether it has the official sizes, to compare with the official code.
        device: "cpu", "cuda", ...
        dtype: precision of everything after the quantizers.
        runtime: what computes it, a name of `semanticodec.runtimes`.
        modules: names from `TITLES`.
    Raises:
        ConfigError: an unknown name, or none at all.
    """

    model: str
    runs: Runs = field(default_factory=Runs)
    is_official_size: bool = False
    device: str = "cpu"
    dtype: str = "float32"
    runtime: str = "torch"
    modules: tuple[str, ...] = tuple(TITLES)

    def __post_init__(self) -> None:
        unknown = [name for name in self.modules if name not in TITLES]
        if unknown or not self.modules:
            raise ConfigError(
                f"there is no module {', '.join(unknown) or 'to measure'}; "
                f"choose from {', '.join(TITLES)}"
            )
