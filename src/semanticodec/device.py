"""Where to compute: names of devices and precisions, checked in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semanticodec.errors import ConfigError, told

if TYPE_CHECKING:
    import torch

AUTO = "auto"
# Precisions by their names in torch; read by the command line, which starts without it.
DTYPES = ("float32", "bfloat16", "float16")


def checked_device(device: str | torch.device) -> str:
    """Return the name of a device of this machine; that of the fastest one for "auto".

    Args:
        device: "auto", "cpu", "cuda", "cuda:1", "mps" or a torch device.
    Raises:
        ConfigError: no such device, or not on this machine.
    """
    import torch

    has_mps = torch.backends.mps.is_available()
    if isinstance(device, str) and device == AUTO:
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{told(device)} is not a device; choose cpu, cuda, cuda:N, mps or auto"
        ) from error
    present = {"cpu": True, "cuda": (found.index or 0) < torch.cuda.device_count(), "mps": has_mps}
    if not present.get(found.type, False):
        raise ConfigError(f"this machine has no device '{device}'; choose cpu or auto")
    return str(device)


def checked_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Return a floating-point precision, given by itself or by its name.

    Raises:
        ConfigError: none of float32, bfloat16, float16 and float64.
    """
    import torch

    offered = {name: getattr(torch, name) for name in (*DTYPES, "float64")}
    found = offered.get(dtype) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or found not in offered.values():
        raise ConfigError(f"{told(dtype)} is not a precision; choose one of {', '.join(offered)}")
    return found
