"""Where a result comes from: the date, the machine and the versions of what took part."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from semanticodec import __version__

FORMAT = 2  # version of results files
# What the numbers of any evaluation may depend on.
PACKAGES = ("torch", "numpy", "scipy", "soxr", "pocketsphinx", "transformers")


def provenance(*packages: str) -> dict[str, Any]:
    """Return what every results file says of its origin: `date`, `machine` and `versions`.

    Args:
        packages: what took part beside PACKAGES.
    """
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": _machine(),
        "versions": versions(*packages),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of this package, of Python, and of the packages that are installed."""
    found = {"semanticodec": __version__, "python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, *packages)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def num_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine() -> dict[str, Any]:
    import torch

    machine: dict[str, Any] = {
        "processor": _processor(),
        "cores": num_cores(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if torch.cuda.is_available():
        machine["accelerator"] = torch.cuda.get_device_name(0)
    return machine


def _processor() -> str:
    """Return the processor's name as people know it; platform.processor() is empty on Linux."""
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"
