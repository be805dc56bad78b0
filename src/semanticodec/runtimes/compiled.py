"""torch.compile for the modules after the quantizers.

Nothing before the quantizers is compiled, so codes never depend on it. Compiling happens at the
first decode, and again for another length of window or number of rows.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from semanticodec.errors import MissingDependencyError

if TYPE_CHECKING:
    from semanticodec import SemantiCodec

CPU_COMPILERS = ("g++", "clang++", "cl")


def use_compiled(codec: SemantiCodec) -> None:
    """Compile T-UNet, VAE decoder and vocoder at their next use.

    Args:
        codec: codec on its final device, in its final precision.
    Raises:
        MissingDependencyError: on a CPU without a C++ compiler.
    """
    if codec.device.type == "cpu":
        _require_compiler()
    for module in (codec.decoder.unet, codec.decoder.vae, codec.decoder.vocoder):
        module.compile()


def _require_compiler() -> None:
    chosen = os.environ.get("CXX")
    names = (chosen,) if chosen else CPU_COMPILERS
    if not any(shutil.which(name) for name in names):
        raise MissingDependencyError(
            f"torch.compile on a CPU needs a C++ compiler, and none of {', '.join(names)} was "
            "found: install g++ (or name another in CXX), or decode without compiling"
        )
