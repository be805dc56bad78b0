"""Numbers that must keep their digits when a model changes to half precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for the device of a tensor."""
    # The device "meta", on which operations are counted, knows none.
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)


class FullPrecision(nn.Module):
    """A module whose own buffers follow a change of device but not of type.

    In bfloat16 the first ᾱ of a schedule would round to 1, and a scale would be off by 0.4 %.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FullPrecision":
        buffers = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, buffer in buffers.items():
            setattr(self, name, buffer.to(self.get_buffer(name).device))
        return self
