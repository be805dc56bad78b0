"""Building networks whose weights are about to be loaded."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

RANDOM = ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_")


class Uninitialized(TorchFunctionMode):
    """While it is active, weights are not drawn: their memory stays untouched, and so unused.

    Building on the device "meta" would import torch's compiler, which takes more than a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or return the weights as they are where it would draw them."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
