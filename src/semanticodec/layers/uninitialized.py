"""Building networks whose weights are about to be loaded, and may be a stranger's."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

from semanticodec.errors import ConfigError

RANDOM = ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_")
BY_SHAPE = ("empty", "zeros", "ones", "full", "rand", "randn")
BY_RANGE = ("arange", "linspace", "hann_window")
# What a network may make besides its weights: their initial values, and tables.
SPARE_TENSORS, SPARE_VALUES = 1_000, 1 << 22
SHARE = 4


class Limited(TorchFunctionMode):
    """While it is active, a network far too large for its weights is refused before it is built.

    Args:
        shapes: shapes of the weights; None for no limit.
    """

    def __init__(self, shapes: Iterable[tuple[int, ...]] | None = None) -> None:
        super().__init__()
        sizes = None if shapes is None else [math.prod(shape) for shape in shapes]
        self._num_weights = 0 if sizes is None else len(sizes)
        self._tensors_left = math.inf if sizes is None else SPARE_TENSORS + SHARE * len(sizes)
        self._values_left = math.inf if sizes is None else SPARE_VALUES + SHARE * sum(sizes)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`.

        Raises:
            ConfigError: more or larger tensors than the weights can be for.
        """
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in BY_SHAPE or name in BY_RANGE:
            self._count(_num_values(name, args, kwargs))
        return func(*args, **kwargs)

    def _count(self, num_values: float) -> None:
        self._tensors_left -= 1
        self._values_left -= num_values
        if self._tensors_left < 0 or self._values_left < 0:
            raise ConfigError(
                f"the configuration describes a far larger network than its {self._num_weights} "
                "tensors of weights are for; do config.json and weights belong together?"
            )


class Uninitialized(Limited):
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
        """Call `func`, or return the weights as they are where it would draw them.

        Raises:
            ConfigError: see `Limited`.
        """
        if getattr(func, "__name__", "") in RANDOM:
            return args[0] if args else (kwargs or {})["tensor"]
        return super().__torch_function__(func, types, args, kwargs)


def _num_values(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """Return how many values a function that makes a tensor is asked for, at most."""
    if name in BY_RANGE:
        numbers = [number for number in (*args, *kwargs.values()) if type(number) in (int, float)]
        return max(map(abs, numbers), default=0)
    shape = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
    return abs(math.prod(size for size in shape if isinstance(size, int)))
