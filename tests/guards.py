"""What no test may see the package do: unpickle, or reach another machine.

Python tells an audit hook of every class that an unpickler looks up and of every connection and
name lookup, whoever makes them; a hook stays for the life of a process. Processes started afresh
have none, and what C++ libraries send themselves is not told.
"""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SOURCES = str(Path(__file__).resolve().parents[1] / "src" / "semanticodec") + "/"
# They carry objects between processes of one job by pickle: nothing of it comes from a file.
CARRIERS = ("multiprocessing", "concurrent", "pebble", "ray", "execnet", "xdist")
HOST_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname")
ADDRESS_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")

_found: list[str] = []


class ForbiddenInTestsError(AssertionError):
    """The package did what SECURITY.md says that it never does."""


def install() -> None:
    """Watch this process from now on."""
    sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what was forbidden meanwhile, also what the code under test caught and hid."""
    before = _found[:]
    _found.clear()
    mine: list[str] = []
    try:
        yield mine
    finally:
        mine += _found
        _found[:] = before


def taken() -> list[str]:
    """Return what was forbidden while no test watched: in fixtures that tests share, in threads."""
    earlier = _found[:]
    _found.clear()
    return earlier


def _watch(event: str, args: tuple) -> None:
    if event == "pickle.find_class":
        if unpickled_by_package(sys._getframe(1)):
            _forbid(f"unpickled {args[0]}.{args[1]}")
    elif event in HOST_EVENTS:
        if not is_here(args[0]):
            _forbid(f"looked up {args[0]!r}")
    elif event in ADDRESS_EVENTS:
        connection, address = args
        # A datagram socket that connects sends nothing: so Ray finds this machine's address.
        silent = event == "socket.connect" and connection.type == socket.SOCK_DGRAM
        if isinstance(address, tuple) and not silent and not is_here(address[0]):
            _forbid(f"sent to {address!r}")


def _forbid(what: str) -> None:
    if what.startswith(("looked", "sent")) and of_hub_client(sys._getframe(2)):
        return
    _found.append(what)
    raise ForbiddenInTestsError(what)


def unpickled_by_package(frame: FrameType | None) -> bool:
    """Return whether the package stands behind this call, and no carrier in between."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(SOURCES):
            return True
        if frame.f_globals.get("__name__", "").partition(".")[0] in CARRIERS:
            return False
        frame = frame.f_back
    return False


def of_hub_client(frame: FrameType | None) -> bool:
    """Return whether huggingface_hub fetches its list of agents, which it does even offline."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "huggingface_hub.utils._detect_agent":
            return True
        frame = frame.f_back
    return False


def is_here(host: str | bytes | None) -> bool:
    """Return whether a name or address is this machine's own."""
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name in ("localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
