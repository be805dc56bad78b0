"""`semanticodec serve` as users start it: two workers, hard clients, a killed worker, its end."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import torch

from semanticodec.cli import main
from sound_bytes import encoded, tone

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

HEAD_S = 1.5
PATIENCE_S = 60


class Server:
    """A service in a process of its own, and what it logs."""

    def __init__(self, *words):
        command = [sys.executable, "-m", "semanticodec", "serve", "--port", "0", *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines = []
        self.port = int(re.search(r":(\d+)/", self.process.stdout.readline())[1])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def events(self, path=None):
        """What it has logged, of all or of one path."""
        events = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [event for event in events if path is None or event.get("path") == path]

    def workers(self):
        """The processes that have said that they are ready, those lost left out."""
        events = self.events()
        lost = {event["worker"] for event in events if event["message"] == "worker lost"}
        ready = {event["process"] for event in events if event["message"] == "ready"}
        return ready - lost

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def inside(self):
        """Requests inside, those for metrics left out."""
        text = self.ask("GET", "/metrics")[1].decode()
        return float(re.search(r"(?m)^semanticodec_requests_inside (\S+)", text)[1]) - 1

    def connected(self, data):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        connection.sendall(data)
        return connection

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._reader.join()
        return status


def until(condition, seconds=PATIENCE_S):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def received(connection):
    """All that comes until the other side closes."""
    data = b""
    while True:
        try:
            block = connection.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not block:
            return data
        data += block


@pytest.fixture(scope="module")
def server(tiny_folder):
    words = ["--model", str(tiny_folder), "--device", "cpu", "--workers", "2", "--threads", "1"]
    server = Server(*words, "--body-s", str(HEAD_S), "--max-body-mb", "1")
    until(lambda: len(server.workers()) == 2)
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def sounds():
    return [encoded("WAV", tone(0.5 + 0.1 * number)) for number in range(4)]


def smtc(codes):
    stream = io.BytesIO()
    codes.save(stream)
    return stream.getvalue()


def test_a_killed_worker_loses_no_answer_that_is_asked_for_again(server, sounds, tiny_codec):
    expected = [smtc(tiny_codec.encode(sound)) for sound in sounds]
    (victim, *_) = server.workers()
    answers, broken = [], []

    def client(number):
        for _ in range(6):
            for attempt in range(20):
                try:
                    status, body = server.ask("POST", "/v1/encode", sounds[number])
                except (OSError, http.client.HTTPException):
                    broken.append(attempt)
                    continue
                answers.append((status, body == expected[number]))
                break

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in clients:
        thread.start()
    until(lambda: len(answers) > 4)
    os.kill(victim, signal.SIGKILL)
    for thread in clients:
        thread.join()
    assert answers == [(200, True)] * 24
    assert len(broken) <= 4
    until(lambda: len(server.workers()) == 2)
    assert victim not in server.workers()


def test_slow_heads_and_bodies_are_closed(server, sounds):
    head = b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    started = time.monotonic()
    slow = [server.connected(part) for part in (b"", b"POST /v1", head)]
    late = server.connected(head + b"\r\n" + bytes(500))
    assert server.ask("POST", "/v1/encode", sounds[0])[0] == 200
    assert [received(connection) for connection in slow] == [b"", b"", b""]
    answer = received(late)
    assert answer.startswith(b"HTTP/1.1 408") and b"500 bytes of the body came" in answer
    assert time.monotonic() - started > HEAD_S
    for connection in (*slow, late):
        connection.close()


def test_bodies_that_lie_about_their_length(server, sounds):
    sound = sounds[0]
    head = b"POST /v1/encode HTTP/1.1\r\nHost: x\r\n"
    longer = server.connected(head + b"Content-Length: %d\r\n\r\n" % len(sound) + sound + b"rest")
    assert received(longer).startswith(b"HTTP/1.1 200")
    huge = server.connected(head + b"Content-Length: 99999999999\r\n\r\n")
    assert received(huge).startswith(b"HTTP/1.1 413")
    negative = server.connected(head + b"Content-Length: -5\r\n\r\n")
    assert received(negative).startswith(b"HTTP/1.1 400")
    endless = server.connected(head + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(1000):
            endless.sendall(chunk)
    for connection in (longer, huge, negative, endless):
        connection.close()
    assert server.ask("GET", "/healthz")[0] == 200


def test_a_client_that_goes_away_frees_its_work(server, tiny_codec):
    """The same for one that only closes its half: both would have waited for minutes of sound."""
    body = smtc(tiny_codec.codes_from(torch.zeros(1, 2, 50 * 480, dtype=torch.long)))
    head = b"POST /v1/decode HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    gone, half = (server.connected(head + body) for _ in range(2))
    until(lambda: server.inside() == 2)
    gone.close()
    half.shutdown(socket.SHUT_WR)
    until(lambda: server.inside() == 0)
    half.close()
    until(lambda: len(server.events("/v1/decode")) == 2)
    for event in server.events("/v1/decode"):
        assert event["status"] == 499 or event["message"] == "broken off"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--port", "70000"], "give a number from 0 to 65535"),
        (["--max-active", "0"], "max_active is 0; give 1 or more"),
        (["--token-file", "missing"], "missing cannot be read"),
    ],
)
def test_what_cannot_be_served(words, text, capfd):
    assert main(["serve", *words]) == 2
    assert text in capfd.readouterr().err


def test_a_port_that_is_taken(server, capfd):
    assert main(["serve", "--port", str(server.port)]) == 2
    assert f"127.0.0.1:{server.port} cannot be used" in capfd.readouterr().err


@pytest.mark.slow
def test_workers_without_a_model_end(tmp_path):
    server = Server("--workers", "2", "--model", str(tmp_path), "--device", "cpu")
    assert server.process.wait(PATIENCE_S) == 2
    server.stop()
    assert any("cannot serve" in line and "config.json" in line for line in server.lines)


def test_what_is_inside_is_answered_before_the_end(server, tiny_codec):
    """Last: it ends the server."""
    body = smtc(tiny_codec.encode(tone(12.0)))
    answers = []
    client = threading.Thread(
        target=lambda: answers.append(server.ask("POST", "/v1/decode?quality=draft", body))
    )
    client.start()
    until(lambda: server.inside() == 1)
    assert server.stop() == 128 + signal.SIGTERM
    client.join()
    ((status, wav),) = answers
    assert status == 200 and len(wav) == 44 + 2 * 12 * 16_000
    assert server.lines.pop() == "semanticodec: stopped\n"
    assert all(json.loads(line)["message"] for line in server.lines)
