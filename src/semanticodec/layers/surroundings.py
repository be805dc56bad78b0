"""Computing the same whatever the program around has set: autocast, default device, gradients."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from semanticodec.errors import ConfigError

_default_dtype_lock = threading.Lock()


class _Threads:
    """Whether this process has computed in several threads, and whether a fork has lost them."""

    has_run = False
    is_lost = False

    @classmethod
    def lose(cls) -> None:
        """Note in a forked process that the threads of its parent are not there."""
        cls.is_lost = cls.has_run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Threads.lose)


def check_fork() -> None:
    """Refuse to compute where torch would wait forever for threads that a fork has lost.

    Raises:
        ConfigError: a process that was forked from one that had computed in several threads.
    """
    if torch.get_num_threads() == 1:
        return
    if _Threads.is_lost:
        raise ConfigError(
            "this process was forked from one that had computed, whose threads torch would wait "
            "for forever; start workers with multiprocessing's 'spawn', or call "
            "torch.set_num_threads(1) in them"
        )
    _Threads.has_run = True


@contextmanager
def float32_default() -> Iterator[None]:
    """Build modules in float32 whatever `torch.set_default_dtype` says; threads take turns."""
    if torch.get_default_dtype() == torch.float32:
        yield
        return
    with _default_dtype_lock:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Compute without gradients, autocast or another default device than the CPU.

    Args:
        device: device of the computation.
    Raises:
        ConfigError: see `check_fork`.
    """
    check_fork()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for kind in {device.type, "cpu"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def trainable(tensor: Tensor) -> Tensor:
    """Return a result of inference mode as an ordinary tensor, which losses may depend on."""
    with torch.inference_mode(False):
        return tensor.clone() if tensor.is_inference() else tensor


def padded(rows: Sequence[Shaped[Tensor, " ..."]]) -> Shaped[Tensor, "B ..."]:
    """Return results of several items as one ordinary tensor, the shorter ones padded with 0."""
    return trainable(nn.utils.rnn.pad_sequence(list(rows), batch_first=True))
