"""Laws of the guards: they see what is forbidden, even where it is hidden, and nothing else."""

import io
import pickle
import socket
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


def test_what_is_caught_is_seen_all_the_same() -> None:
    source = "try: pickle.loads(data)\nexcept BaseException: pass"
    with guards.watched() as found:
        run_as_package(source, pickle=pickle, data=PICKLED)
    assert found


def test_others_may_unpickle() -> None:
    assert pickle.loads(PICKLED) == Fraction(1, 2)


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
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_what_happens_between_tests_is_not_lost():
    with guards.watched() as found:
        guards._found.append("looked up 'name.invalid'")
        assert guards.taken() == ["looked up 'name.invalid'"]
        assert guards.taken() == []
    assert found == []
