"""`semanticodec serve`: the codec as an HTTP service."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from semanticodec.cli.address import add_address_options, listen, url
from semanticodec.cli.options import add_model_options, positive_int
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import MissingDependencyError
from semanticodec.service.settings import ServiceSettings

HELP = "answer HTTP requests: encode, decode, roundtrip"
DESCRIPTION = """\
Serve the codec over HTTP: POST /v1/encode, /v1/decode and /v1/roundtrip; GET /v1/info, /healthz,
/readyz, /metrics and /openapi.json. Logs are lines of JSON on stderr. Ctrl-C and SIGTERM stop it
when the requests inside are answered.

  semanticodec serve                                     on this machine only
  semanticodec serve --workers 4 --threads 2             four processes on one port
  semanticodec serve --host 0.0.0.0 --token-file tokens  for the network, behind a TLS proxy
  curl --data-binary @speech.wav localhost:8000/v1/encode -o speech.smtc
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_address_options(parser)
    parser.add_argument(
        "--workers",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of processes, each with a model of its own (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file of bearer tokens, one a line (default: everybody may ask)",
    )
    limits = parser.add_argument_group("limits of each worker")
    for setting in fields(ServiceSettings):
        limits.add_argument(
            f"--{setting.name.replace('_', '-')}",
            type=type(setting.default),
            default=setting.default,
            metavar="N",
            help=f"{setting.metadata['help']} (default: %(default)s)",
        )
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, and return the exit status."""
    settings = ServiceSettings(
        **{setting.name: getattr(args, setting.name) for setting in fields(ServiceSettings)}
    )
    try:
        from semanticodec.service.server import BACKLOG, ServedModel, serve, serve_workers
        from semanticodec.service.tokens import read_tokens
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the service needs {error.name}; install it with pip install 'semanticodec[serve]'"
        ) from error

    tokens = read_tokens(args.token_file) if args.token_file else ()
    device = checked_device(args.device)
    model = ServedModel(
        options={
            "source": args.model,
            "token_rate": args.token_rate,
            "semantic_vocab_size": args.semantic_vocab_size,
            "device": device,
            "dtype": args.dtype,
        },
        threads=_num_threads(args, device),
    )
    with listen(args, BACKLOG) as listening:
        print(f"{url(listening, args)} (Ctrl-C stops)", flush=True)
        if args.workers == 1:
            serve(listening, model, settings, tokens)
        else:
            serve_workers(args.workers, listening, model, settings, tokens)
    return DONE


def _num_threads(args: argparse.Namespace, device: str) -> int:
    """Return how many threads of each worker compute: its share of the cores, one for a GPU."""
    if args.threads is not None:
        return args.threads
    if device != "cpu":
        return 1
    import torch

    return max(1, torch.get_num_threads() // args.workers)
