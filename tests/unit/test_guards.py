"""Laws of the guards: they see what is forbidden, even where it is hidden, and nothing else."""

import io
import multiprocessing
import pickle
import socket
from contextlib import suppress
from fractions import Fraction

import pytest
import torch

import guards

PICKLED = pickle.dumps(Fraction(1, 2))


def run_as_package(source: str, **names) -> None:
    exec(compile(source, guards.SOURCES + "made_up.py", "exec"), names)


def test_the_package_may_not_unpickle() -> None:
    with guards.watched() as found, pytest.raises(guards.ForbiddenInTestsError):
        run_as_package("pickle.loads(data)", pickle=pickle, data=PICKLED)
    assert found == ["unpickled fractions.Fraction"]


def test_the_package_may_not_load_more_than_weights() -> None:
    file = io.BytesIO()
    torch.save({"half": Fraction(1, 2)}, file)
    file.seek(0)
    with guards.watched() as found, pytest.raises(guards.ForbiddenInTestsError):
        run_as_package("torch.load(file, weights_only=False)", torch=torch, file=file)
    assert found


def test_others_may_unpickle() -> None:
    assert pickle.loads(PICKLED) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("module", "may"),
    [
        ("multiprocessing.connection", True),
        ("numba.core.caching", True),
        ("joblib.externals.loky.process_executor", True),
        ("torch._inductor.codecache", True),
        ("joblib.numpy_pickle", False),
        ("torch.serialization", False),
        ("numbaker", False),
    ],
)
def test_carriers_may_unpickle_for_the_package(module: str, may: bool) -> None:
    carrier = {"__name__": module, "pickle": pickle}
    exec("def load(data): return pickle.loads(data)", carrier)
    with guards.watched() as found, suppress(guards.ForbiddenInTestsError):
        run_as_package("load(data)", load=carrier["load"], data=PICKLED)
    assert bool(found) is not may


def test_arguments_of_processes_may_be_unpickled() -> None:
    here, there = multiprocessing.Pipe()
    here.send(Fraction(1, 2))
    run_as_package("assert there.recv() == 0.5", there=there)


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("example.org", 80)])
def test_nothing_reaches_another_machine(address: tuple[str, int]) -> None:
    with guards.watched() as found, pytest.raises(guards.ForbiddenInTestsError):
        socket.create_connection(address, timeout=1)
    assert len(found) == 1


def test_datagrams_stay_here() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        guards.watched(),
        pytest.raises(guards.ForbiddenInTestsError),
    ):
        sender.sendto(b"", ("192.0.2.1", 9))


def test_this_machine_may_be_reached() -> None:
    for host in (None, b"localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()):
        assert guards.is_here(host)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pickle.loads(data)", "the package unpickled fractions.Fraction"),
        ("socket.create_connection(('192.0.2.1', 80))", "looked up '192.0.2.1'"),
        ("socket.socket().connect(('192.0.2.1', 80))", r"sent to \('192.0.2.1', 80\)"),
    ],
)
def test_what_the_package_hides_fails_its_test_all_the_same(source: str, told: str) -> None:
    hidden = f"try: {source}\nexcept BaseException: pass"
    with pytest.raises(AssertionError, match=told), guards.nothing_forbidden():
        run_as_package(hidden, pickle=pickle, data=PICKLED, socket=socket)


def test_what_happens_between_tests_is_not_lost() -> None:
    with guards.watched():  # as in a fixture that tests share
        with pytest.raises(guards.ForbiddenInTestsError):
            run_as_package("pickle.loads(data)", pickle=pickle, data=PICKLED)
        with pytest.raises(AssertionError, match="see SECURITY.md"), guards.nothing_forbidden():
            pass
        with guards.nothing_forbidden():
            pass  # told once
