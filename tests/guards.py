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
# What they unpickle is their own: none of it comes from a file that a user names.
CARRIERS = {
    # objects on their way between the processes of one job
    "multiprocessing",
    "multiprocess",
    "concurrent",
    "pebble",
    "joblib.externals",
    "ray",
    "execnet",
    "xdist",
    "torch.distributed",
    "torch.multiprocessing",
    "cloudpickle",
    "dill",
    # compiled functions and graphs, which they copy, or keep in a folder of theirs
    "numba",
    "torch._dynamo",
    "torch._functorch",
    "torch._inductor",
    "torch.export",
    "torch.fx",
}
# The Hub's client asks for its list of agents, even offline, and does without it.
UNTOLD = {"huggingface_hub.utils._detect_agent"}
HOST_EVENTS = {"socket.getaddrinfo", "socket.gethostbyname"}
ADDRESS_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}

_found: list[str] = []


class ForbiddenInTestsError(AssertionError):
    """The package did what SECURITY.md says that it never does."""


def install() -> None:
    """Watch this process from now on."""
    sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what was forbidden meanwhile, also what the code under test caught and hid."""
    before = _taken()
    mine: list[str] = []
    try:
        yield mine
    finally:
        mine += _taken()
        _found[:] = before


@contextmanager
def nothing_forbidden() -> Iterator[None]:
    """Fail at the end if the package did what is forbidden.

    Also before, while no test watched: in fixtures that tests share, and in threads.
    """
    earlier = _taken()
    with watched() as found:
        yield
    found = earlier + found
    assert not found, f"the package {', '.join(found)}: see SECURITY.md"


def _taken() -> list[str]:
    earlier = _found[:]
    _found.clear()
    return earlier


def _watch(event: str, args: tuple) -> None:
    if event == "pickle.find_class":
        if unpickled_by_package(sys._getframe(1)):
            _forbid(f"unpickled {args[0]}.{args[1]}")
    elif event in HOST_EVENTS:
        if not is_here(args[0]):
            _forbid_network(f"looked up {args[0]!r}", sys._getframe(1))
    elif event in ADDRESS_EVENTS:
        connection, address = args
        # A datagram socket that connects sends nothing: so Ray finds this machine's address.
        silent = event == "socket.connect" and connection.type == socket.SOCK_DGRAM
        if isinstance(address, tuple) and not silent and not is_here(address[0]):
            _forbid_network(f"sent to {address!r}", sys._getframe(1))


def _forbid(what: str) -> None:
    _found.append(what)
    raise ForbiddenInTestsError(what)


def _forbid_network(what: str, frame: FrameType | None) -> None:
    if any(module in UNTOLD for module, _ in callers(frame)):
        raise ForbiddenInTestsError(what)
    _forbid(what)


def unpickled_by_package(frame: FrameType | None) -> bool:
    """Return whether the package stands behind this call, and no carrier in between."""
    for module, file in callers(frame):
        if file.startswith(SOURCES):
            return True
        names = module.split(".")
        if names[0] in CARRIERS or ".".join(names[:2]) in CARRIERS:
            return False
    return False


def callers(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    """Yield module and source file of a call and of all calls around it, from the inside."""
    while frame is not None:
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
        frame = frame.f_back


def is_here(host: str | bytes | bytearray | None) -> bool:
    """Return whether a name or address is this machine's own."""
    name = host if isinstance(host, str) or host is None else bytes(host).decode()
    if not name or name in ("localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or _is_of_an_interface(address)


def _is_of_an_interface(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether one may listen there: Ray calls its own processes by such an address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.bind((str(address), 0))
    except OSError:
        return False
    return True
