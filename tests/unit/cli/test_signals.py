"""Signals end a block as an exception does, whatever it is doing, and nothing else changes."""

import io
import os
import signal
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from semanticodec.cli import signals
from semanticodec.cli.signals import Terminated, termination_raises

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # the handler runs here at the latest


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated), (signal.SIGHUP, Terminated)],
)
def test_a_signal_raises_and_the_handlers_come_back(number, error):
    before = [signal.getsignal(each) for each in HANDLED]
    cleaned = []
    with pytest.raises(error) as raised, termination_raises():
        try:
            send(number)
        finally:
            send(signal.SIGHUP)  # a terminal that goes away sends two
            cleaned.append(True)
    assert cleaned == [True]
    if error is Terminated:
        assert raised.value.code == 128 + number
    assert [signal.getsignal(each) for each in HANDLED] == before


def test_a_signal_that_was_lost_can_be_sent_again(monkeypatch):
    monkeypatch.setattr(signals, "PAUSE_S", 0.0)
    with pytest.raises(Terminated), termination_raises():
        with suppress(Terminated):  # as a callback of a library would
            send(signal.SIGTERM)
        send(signal.SIGTERM)


def test_ignored_and_handled_signals_are_left_alone():
    got = []
    previous = (
        signal.signal(signal.SIGHUP, signal.SIG_IGN),
        signal.signal(signal.SIGTERM, lambda number, frame: got.append(number)),
    )
    try:
        with termination_raises():
            send(signal.SIGHUP)
            send(signal.SIGTERM)
        assert got == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous[0])
        signal.signal(signal.SIGTERM, previous[1])


def test_other_threads_may_run_commands():
    errors = []

    def work():
        try:
            with termination_raises():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


class Interrupting(io.BytesIO):
    """A file whose reader gets a signal while libsndfile is calling it."""

    sent = False

    def readinto(self, buffer):
        count = super().readinto(buffer)
        if not self.sent:
            self.sent = True
            send(signal.SIGTERM)
        return count


def test_a_signal_is_not_lost_while_libsndfile_calls_python(capfd):
    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(100_000), 16_000, format="WAV")
    with pytest.raises(Terminated), termination_raises():
        file = soundfile.SoundFile(Interrupting(wav.getvalue()))
        assert file.frames == 100_000
        for _ in range(500):
            file.seek(0)
            file.read(1000)
            time.sleep(0.001)
        pytest.fail("the signal was lost")
    assert "Traceback" not in capfd.readouterr().err
