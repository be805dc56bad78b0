"""What a machine needs for the plan, and whether it is there."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from semanticodec.provenance import num_cores

GIB = 1 << 30
# For recordings, the windows' features and checkpoints of the plan `large`.
DISK_GIB = 40
RAM_GIB = 32
GPU_GIB = 70
CORES = 8


class Package(NamedTuple):
    """A package, by the name that Python and that pip know, and what it is for."""

    module: str
    name: str
    use: str
    is_needed: bool = True


PACKAGES = (
    Package("numpy", "numpy", "everything"),
    Package("soundfile", "soundfile", "reading audio"),
    Package("_cffi_backend", "cffi", "soundfile"),
    Package("soxr", "soxr", "reading audio"),
    Package("safetensors", "safetensors", "weights"),
    Package("huggingface_hub", "huggingface_hub", "model folders"),
    Package("jaxtyping", "jaxtyping", "everything"),
    Package("tqdm", "tqdm", "everything"),
    Package("swift_f0", "swift-f0", "the pitch of recordings, for vocoder and decoder"),
    Package("onnxruntime", "onnxruntime", "swift-f0"),
    Package("pandas", "pandas", "the evaluation", is_needed=False),
    Package("pebble", "pebble", "the evaluation", is_needed=False),
    Package("matplotlib", "matplotlib", "pictures", is_needed=False),
    Package("tensorboard", "tensorboard", "curves in TensorBoard", is_needed=False),
)
# A GPU clusters without it.
FAISS = Package("faiss", "faiss-cpu", "clustering on a CPU")


class Finding(NamedTuple):
    """One line of the check."""

    is_good: bool
    is_needed: bool
    text: str


def check(folder: Path, parts: Path | None = None) -> list[Finding]:
    """Look at packages, device, memory, disk and packs.

    Args:
        folder: where the run would be; its disk is looked at.
        parts: folder of the packs; None does not look.
    """
    findings = [_package(package) for package in _packages()]
    findings += [_device(), *_resources(folder)]
    if parts is not None:
        if missing_packages(needed=True):
            text = "the parts cannot be checked before the packages are there"
            return [*findings, Finding(False, True, text)]
        from experiments.accelerator.packs import problems

        wrong = problems(parts)
        findings += [Finding(False, True, text) for text in wrong]
        if not wrong:
            findings.append(Finding(True, True, f"all parts in {parts}"))
    return findings


def missing_packages(*, needed: bool = False) -> list[str]:
    """Return the names, for pip, of the packages that are not installed.

    Args:
        needed: leave out those that can be done without.
    """
    return [
        package.name
        for package in _packages()
        if find_spec(package.module) is None and (package.is_needed or not needed)
    ]


def _packages() -> tuple[Package, ...]:
    return PACKAGES if torch.cuda.is_available() else (*PACKAGES, FAISS)


def _package(package: Package) -> Finding:
    is_there = find_spec(package.module) is not None
    return Finding(is_there, package.is_needed, f"{package.name}: {package.use}")


def _device() -> Finding:
    if not torch.cuda.is_available():
        return Finding(False, True, f"a GPU that torch {torch.__version__} can use")
    properties = torch.cuda.get_device_properties(0)
    memory = properties.total_memory / GIB
    text = f"{properties.name} with {memory:.0f} GiB of {GPU_GIB} (less: smaller batches)"
    return Finding(memory >= GPU_GIB, False, text)


def _resources(folder: Path) -> list[Finding]:
    existing = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    disk = shutil.disk_usage(existing).free / GIB
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    cores = num_cores()
    return [
        Finding(disk >= DISK_GIB, True, f"{disk:.0f} GiB free on the disk, of {DISK_GIB}"),
        Finding(ram >= RAM_GIB, False, f"{ram:.0f} GiB of memory, of {RAM_GIB}"),
        Finding(cores >= CORES, False, f"{cores} CPU cores, of {CORES}"),
    ]
