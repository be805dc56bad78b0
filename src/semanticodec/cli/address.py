"""Where a command that serves pages or requests listens."""

from __future__ import annotations

import argparse
import socket

from semanticodec.errors import ConfigError

MAX_PORT = 65535


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Add --host and --port."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8000,
        metavar="N",
        help="port to listen on; 0 for any that is free (default: %(default)s)",
    )


def listen(args: argparse.Namespace, backlog: int | None = None) -> socket.socket:
    """Return a socket that listens where --host and --port say.

    Args:
        args: arguments of the command.
        backlog: connections that may wait to be taken; None for the system's choice.
    Raises:
        ConfigError: no port, one that is taken, or the address of another machine.
    """
    if not 0 <= args.port <= MAX_PORT:
        raise ConfigError(f"--port is {args.port}; give a number from 0 to {MAX_PORT}")
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    try:
        return socket.create_server((args.host, args.port), family=family, backlog=backlog)
    except OSError as error:
        raise ConfigError(
            f"{args.host}:{args.port} cannot be used ({error.strerror or error}); give another "
            "--port or --host"
        ) from error


def url(listening: socket.socket, args: argparse.Namespace) -> str:
    """Return the address of a listening socket as a browser takes it."""
    host = f"[{args.host}]" if ":" in args.host else args.host
    return f"http://{host}:{listening.getsockname()[1]}/"
