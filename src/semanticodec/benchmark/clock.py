"""Taking times: of repeated calls, and of the modules inside a whole encode or decode."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The runs of one piece of work.

    Attributes:
        seconds: seconds of each run, by the wall clock.
        cpu_seconds: CPU seconds of each run, of all threads of this process.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Timing:
        """Return the timing of runs given as (seconds, CPU seconds)."""
        return cls(
            seconds=tuple(seconds for seconds, _ in pairs),
            cpu_seconds=tuple(cpu_seconds for _, cpu_seconds in pairs),
        )

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for a JSON file."""
        return {"seconds": summary(self.seconds), "cpu_seconds": summary(self.cpu_seconds)}


def summary(values: tuple[float, ...]) -> dict[str, Any]:
    """Return median, extremes, quartiles and the values themselves."""
    first = third = values[0]
    if len(values) > 1:
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "first_quartile": first,
        "third_quartile": third,
        "runs": list(values),
    }


def wait_for(device: torch.device) -> None:
    """Return once the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(run: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of one call."""
    wait_for(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    wait_for(device)
    return time.perf_counter() - start, time.process_time() - cpu_start


def measure(run: Callable[[], object], num_runs: int, device: torch.device) -> Timing:
    """Return the times of `num_runs` calls, after one call that does not count."""
    run()
    return Timing.of([timed(run, device) for _ in range(num_runs)])


class ModuleClock:
    """Shares the time of a run among the methods that are called in it.

    A method that another one calls takes its time away from the caller: shares add up.

    Attributes:
        seconds: seconds by module, without the modules that it calls.
        shapes: shapes of the first argument in every call, by module.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._open: list[str] = []
        self._since = 0.0
        self.seconds: dict[str, float] = defaultdict(float)
        self.shapes: dict[str, list[tuple[int, ...]]] = defaultdict(list)

    def _book(self) -> None:
        """Give the time since the last change to the module that is at work."""
        wait_for(self._device)
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._book()
            self._open.append(name)
            self.shapes[name].append(tuple(args[0].shape))
            try:
                return method(*args, **kwargs)
            finally:
                self._book()
                self._open.pop()

        return call

    @contextmanager
    def watching(self, methods: Mapping[str, tuple[Any, str]]) -> Iterator[None]:
        """Watch methods for a while.

        Args:
            methods: (object, name of its method) by module.
        """
        # An attribute of the object hides the method of its class, and is removed again; a runtime
        # may have put one there before.
        before = [(owner, method, vars(owner).get(method)) for owner, method in methods.values()]
        for name, (owner, method) in methods.items():
            setattr(owner, method, self._watched(name, getattr(owner, method)))
        try:
            yield
        finally:
            for owner, method, own in before:
                delattr(owner, method)
                if own is not None:
                    setattr(owner, method, own)
