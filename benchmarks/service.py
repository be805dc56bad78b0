"""The HTTP service under load: is every answer the library's own, how fast, and what if one dies?

    python -m benchmarks.service                          16 clients, 2000 mixed requests
    python -m benchmarks.service --clients 4 --workers 1  against calling the library directly
    python -m benchmarks.service --kill                   kills a worker in the middle

On a busy machine compare CPU seconds: those of the service's processes, and of the calls.

Clients repeat what gets no answer or a 503. The library is called in this process, one request
after the other, with as many threads as the service has in all.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks.common import add_common_options, written_json
from benchmarks.process import cpu_seconds
from semanticodec import Codes, SemantiCodec
from semanticodec.audio.streamed import wav_bytes
from semanticodec.benchmark.sound import synthesize
from semanticodec.evaluation.tables import plain_table
from semanticodec.token_format import SAMPLE_RATE

# Seconds of the sounds; requests take them in turn.
DURATIONS_S = (1.0, 2.5, 4.0, 7.0, 12.0, 21.0)
# Of ten requests.
MIX = {"encode": 7, "decode": 2, "roundtrip": 1}
SEED = 5
PERCENTILES = (50, 90, 99)
RETRY_S = 0.05
OVERLOADED = 503


@dataclass(frozen=True)
class Request:
    """A request and the only right answer to it."""

    kind: str
    path: str
    body: bytes
    answer: bytes
    seconds: float
    library_s: float
    library_cpu_s: float


@dataclass
class Outcome:
    """What the clients met; all of them append."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in MIX})
    wrong: list[str] = field(default_factory=list)
    num_lost: int = 0
    num_refused: int = 0

    @property
    def num_answers(self) -> int:
        """Right answers until now."""
        return sum(map(len, self.latencies.values()))


class Library:
    """The codec called directly: the answers, and what they take."""

    def __init__(self, codec: SemantiCodec, threads: int, quality: str) -> None:
        self._codec = codec
        self._threads = threads
        self._quality = quality

    def requests(self, kind: str, seconds: float) -> Request:
        """Return the request of a kind for a sound of a length."""
        sound = _wav_file(synthesize(round(seconds * SAMPLE_RATE), seed=round(10 * seconds)))
        codes = self._codec.encode(sound)
        query = f"?quality={self._quality}&seed={SEED}"
        work: dict[str, tuple[str, bytes, Callable[[], bytes]]] = {
            "encode": ("/v1/encode", sound, lambda: _smtc(self._codec.encode(sound))),
            "decode": (f"/v1/decode{query}", _smtc(codes), lambda: self._decoded(codes)),
            "roundtrip": (
                f"/v1/roundtrip{query}",
                sound,
                lambda: self._decoded(self._codec.encode(sound)),
            ),
        }
        path, body, compute = work[kind]
        torch.set_num_threads(1)  # a wave of the service is that of one thread
        answer = compute()
        torch.set_num_threads(self._threads)
        compute()
        started, started_cpu = time.perf_counter(), time.process_time()
        compute()
        taken, taken_cpu = time.perf_counter() - started, time.process_time() - started_cpu
        return Request(kind, path, body, answer, seconds, taken, taken_cpu)

    def _decoded(self, codes: Codes) -> bytes:
        blocks = self._codec.decode_stream(codes, quality=self._quality, seed=SEED)
        return b"".join(wav_bytes(blocks, codes.num_samples[0], SAMPLE_RATE))


class Server:
    """The service in processes of its own."""

    def __init__(self, words: Sequence[str], num_workers: int) -> None:
        command = [sys.executable, "-m", "semanticodec", "serve", "--port", "0", *words]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        found = re.search(r":(\d+)/", self._process.stdout.readline())
        if found is None:
            raise SystemExit(f"the service did not start: {self._process.communicate()[1]}")
        self.port = int(found[1])
        self.workers: list[int] = []
        threading.Thread(target=self._read, daemon=True).start()
        while len(self.workers) < num_workers:
            if self._process.poll() is not None:
                raise SystemExit("the service ended before it was ready")
            time.sleep(RETRY_S)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if '"message": "ready"' in line:
                self.workers.append(json.loads(line)["process"])

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes until now."""
        return sum(map(cpu_seconds, {self._process.pid, *self.workers}))

    def kill_one(self) -> None:
        """Kill a worker by its process id, or all there is where it is the only one."""
        os.kill(self.workers[0], signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def run_client(port: int, waiting: SimpleQueue[Request], outcome: Outcome) -> None:
    """Send requests until none is left, each until it is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        try:
            request = waiting.get_nowait()
        except Empty:
            connection.close()
            return
        started = time.perf_counter()
        while (answer := _answer(connection, request, outcome)) is None:
            time.sleep(RETRY_S)
        if answer == request.answer:
            outcome.latencies[request.kind].append(time.perf_counter() - started)
        else:
            outcome.wrong.append(f"{request.path} of {request.seconds:g} s")


def _answer(
    connection: http.client.HTTPConnection, request: Request, outcome: Outcome
) -> bytes | None:
    """Return the answer; None where the same request has to be sent again."""
    try:
        connection.request("POST", request.path, request.body)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        outcome.num_lost += 1
        return None
    if reply.status == OVERLOADED:
        outcome.num_refused += 1
        return None
    return body


def run_clients(
    server: Server, requests: Sequence[Request], num_clients: int, kills: bool
) -> tuple[Outcome, float]:
    """Return what the clients met, and the seconds that all requests took."""
    waiting: SimpleQueue[Request] = SimpleQueue()
    for request in requests:
        waiting.put(request)
    outcome = Outcome()
    clients = [
        threading.Thread(target=run_client, args=(server.port, waiting, outcome))
        for _ in range(num_clients)
    ]
    started = time.perf_counter()
    for client in clients:
        client.start()
    while kills and outcome.num_answers < len(requests) // 2:
        time.sleep(RETRY_S)
    if kills:
        server.kill_one()
    for client in clients:
        client.join()
    return outcome, time.perf_counter() - started


def report(
    outcome: Outcome, requests: Sequence[Request], elapsed_s: float, cpu_s: float | None
) -> dict[str, Any]:
    """Return the figures; where a worker was killed nobody knows the CPU seconds."""
    sound_s = sum(request.seconds for request in requests)
    library_s = sum(request.library_s for request in requests)
    return {
        "num_requests": len(requests),
        "num_right": outcome.num_answers,
        "wrong": outcome.wrong,
        "num_lost": outcome.num_lost,
        "num_refused": outcome.num_refused,
        "seconds": elapsed_s,
        "sound_seconds_per_second": sound_s / elapsed_s,
        "library_seconds": library_s,
        "share_of_library": library_s / elapsed_s,
        "cpu_seconds": cpu_s,
        "library_cpu_seconds": sum(request.library_cpu_s for request in requests),
        "latencies": {
            kind: dict(zip(map(str, PERCENTILES), np.percentile(values, PERCENTILES).tolist()))
            for kind, values in outcome.latencies.items()
            if values
        },
    }


def _wav_file(samples: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, SAMPLE_RATE, subtype="PCM_16", format="WAV")
    return stream.getvalue()


def _smtc(codes: Codes) -> bytes:
    stream = io.BytesIO()
    codes.save(stream)
    return stream.getvalue()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16, metavar="N", help="number of clients")
    parser.add_argument(
        "--requests", type=int, default=2000, metavar="N", help="number of requests"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="worker processes")
    parser.add_argument("--quality", default="draft", help="sampling settings")
    parser.add_argument(
        "--durations",
        type=float,
        nargs="+",
        default=DURATIONS_S,
        metavar="S",
        help="seconds of the sounds",
    )
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle")
    add_common_options(parser)
    args = parser.parse_args()
    if args.kill and args.workers < 2:
        parser.error("--kill needs --workers 2 or more: one alone is not replaced")
    threads = args.threads or torch.get_num_threads()

    codec = SemantiCodec.from_pretrained(args.model, device="cpu")
    library = Library(codec, threads, args.quality)
    distinct = {kind: [library.requests(kind, each) for each in args.durations] for kind in MIX}
    order = random.Random(SEED)
    kinds = order.choices(list(MIX), list(MIX.values()), k=args.requests)
    requests = [order.choice(distinct[kind]) for kind in kinds]

    per_worker = str(max(1, threads // args.workers))
    words = ["--workers", str(args.workers), "--threads", per_worker, "--device", "cpu"]
    server = Server([*words, *(["--model", args.model] if args.model else [])], args.workers)
    try:
        before_s = 0.0 if args.kill else server.cpu_s()
        outcome, elapsed_s = run_clients(server, requests, args.clients, args.kill)
        cpu_s = None if args.kill else server.cpu_s() - before_s
    finally:
        server.stop()
    figures = report(outcome, requests, elapsed_s, cpu_s)

    rows = [
        (kind, str(len(outcome.latencies[kind])), *(f"{value:.3f}" for value in values.values()))
        for kind, values in figures["latencies"].items()
    ]
    header = ("request", "answers", *(f"p{percentile} s" for percentile in PERCENTILES))
    print("\n".join(plain_table(header, rows, num_text_columns=1)))
    print(
        f"{figures['num_right']} of {len(requests)} answers are the library's, "
        f"{len(outcome.wrong)} are not; {outcome.num_lost} connections lost, "
        f"{outcome.num_refused} requests refused, all sent again\n"
        f"{figures['sound_seconds_per_second']:.1f} s of sound per second, "
        f"{figures['share_of_library']:.2f} of calling the library"
    )
    if cpu_s is not None:
        print(f"{cpu_s:.0f} CPU seconds; the library {figures['library_cpu_seconds']:.0f}")
    settings = {name: getattr(args, name) for name in ("clients", "workers", "quality", "kill")}
    written_json(args, "service", {**settings, "durations_s": list(args.durations), **figures})
    if outcome.wrong:
        sys.exit(f"wrong answers: {', '.join(sorted(set(outcome.wrong)))}")


if __name__ == "__main__":
    main()
