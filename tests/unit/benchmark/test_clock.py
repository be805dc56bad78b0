"""Shares of time add up, and nothing stays watched."""

import time

import pytest
import torch

from semanticodec.benchmark.clock import ModuleClock, Timing, measure, summary

CPU = torch.device("cpu")


class Machine:
    """Outer work that contains inner work."""

    def outer(self, rows):
        time.sleep(0.01)
        self.inner(rows)
        self.inner(rows)
        time.sleep(0.01)

    def inner(self, rows):
        time.sleep(0.01)
        if len(rows) > 5:
            raise ValueError("too many")


def watched(machine):
    return {"outer": (machine, "outer"), "inner": (machine, "inner")}


def test_time_belongs_to_the_innermost_module_and_adds_up():
    machine, clock = Machine(), ModuleClock(CPU)
    start = time.perf_counter()
    with clock.watching(watched(machine)):
        machine.outer(torch.zeros(3, 2))
    elapsed = time.perf_counter() - start
    assert clock.seconds["outer"] >= 0.02 and clock.seconds["inner"] >= 0.02
    assert sum(clock.seconds.values()) <= elapsed
    assert sum(clock.seconds.values()) == pytest.approx(elapsed, rel=0.2)
    assert clock.shapes == {"outer": [(3, 2)], "inner": [(3, 2), (3, 2)]}


def test_methods_are_their_own_again_after_an_error():
    machine, clock = Machine(), ModuleClock(CPU)
    with pytest.raises(ValueError, match="too many"), clock.watching(watched(machine)):
        machine.outer(torch.zeros(6))
    assert vars(machine) == {}
    with clock.watching(watched(machine)):
        machine.inner(torch.zeros(1))
    assert clock.shapes["inner"] == [(6,), (1,)]


def test_methods_that_a_runtime_put_in_place_stay_there():
    machine, clock = Machine(), ModuleClock(CPU)
    machine.inner = replaced = torch.clone
    with clock.watching(watched(machine)):
        machine.inner(torch.zeros(1))
    assert vars(machine) == {"inner": replaced} and clock.shapes["inner"] == [(1,)]


def test_the_first_call_does_not_count():
    calls = []
    timing = measure(lambda: calls.append(1), 4, CPU)
    assert len(calls) == 5
    assert len(timing.seconds) == len(timing.cpu_seconds) == 4


def test_summaries_hold_every_run():
    values = summary((3.0, 1.0, 2.0, 5.0, 4.0))
    assert (values["min"], values["median"], values["max"]) == (1, 3, 5)
    assert (values["first_quartile"], values["third_quartile"]) == (2, 4)
    assert values["runs"] == [3, 1, 2, 5, 4]
    assert Timing.of([(7.0, 6.0)]).to_dict()["cpu_seconds"]["third_quartile"] == 6
