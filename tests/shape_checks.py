"""What checks the shapes in the package's signatures while tests run, see `tests/conftest.py`."""

from collections.abc import Callable
from inspect import isclass
from typing import Any, TypeVar, get_args

from beartype import beartype
from jaxtyping import AbstractArray

CallableT = TypeVar("CallableT", bound=Callable)


def checked(function: CallableT) -> CallableT:
    """Return a function that refuses arrays of other shapes or types than its annotations say.

    Other annotations are pyright's: at run time the package answers wrong arguments with sentences
    of its own, and tests hand it fakes.
    """
    shapes = {name: kind for name, kind in function.__annotations__.items() if holds_array(kind)}
    if not shapes:
        return function
    function.__annotations__ = shapes
    return beartype(function)


def holds_array(kind: Any) -> bool:
    """Return whether an annotation speaks of arrays, at any depth."""
    if isclass(kind) and issubclass(kind, AbstractArray):
        return True
    return any(holds_array(part) for part in get_args(kind))
