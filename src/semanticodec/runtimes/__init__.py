"""What computes a codec in inference: torch with oneDNN's kernels, torch.compile or onnxruntime.

onednn.use_onednn(model)                  every codec from its start: faster layers on CPUs
use_runtime(codec, "compiled" | "onnx")   what stands after the quantizers; codes stay the same
onnx_export                               the same modules as files for other programs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

RUNTIMES = ("torch", "compiled", "onnx")


def use_runtime(codec: SemantiCodec, name: str) -> None:
    """Let a codec decode by another runtime than torch.

    Codes do not change; waveforms change by rounding. Choose it last: the codec must then stay on
    its device and in its precision.

    Args:
        codec: codec as loaded.
        name: "torch" (nothing changes), "compiled" (torch.compile; a minute or more at the first
            decode) or "onnx" (onnxruntime; CPU, float32; some seconds at once).
    Raises:
        ConfigError: no such runtime, or one that does not fit the codec.
        MissingDependencyError: it needs something that is not installed.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"runtime is {name!r}; choose one of {', '.join(RUNTIMES)}")
    if name == "compiled":
        from semanticodec.runtimes.compiled import use_compiled

        use_compiled(codec)
    elif name == "onnx":
        from semanticodec.runtimes.onnx_modules import use_onnxruntime

        use_onnxruntime(codec)
