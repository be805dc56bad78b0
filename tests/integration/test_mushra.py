"""`semanticodec mushra` as users type it; the page has tests of its own."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from evaluation_fakes import write_clip
from experiments.listening.simulated import Panel, hold
from semanticodec.cli import main
from semanticodec.listening.session import Test


@pytest.fixture(scope="module")
def test_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mushra")
    for index in range(2):
        write_clip(folder / "clips" / f"{index}.wav", seed=index)
    words = ["--suite", str(folder / "clips"), "--system", "ground-truth", "--anchors", "3.5"]
    assert main(["mushra", "build", *words, "-o", str(folder / "test"), "--num-clips", "1"]) == 0
    return folder / "test"


@pytest.fixture
def run(capfd):
    def run_words(*words):
        capfd.readouterr()
        try:
            status = main(["mushra", *map(str, words)])
        except SystemExit as stop:  # what argparse refuses
            status = stop.code
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run_words


def test_a_test_is_built_rated_analyzed_and_exported(test_folder, run, tmp_path):
    status, _, errors = run("analyze", test_folder, "-o", tmp_path)
    assert status == 2 and "nobody has rated" in errors
    truth = {"anchor 3.5 kHz": 20.0, "ground-truth": 60.0}
    hold(Test.open(test_folder), Panel(qualities=truth, num_careful=3))
    status, printed, errors = run("analyse", test_folder, "-o", tmp_path)
    assert (status, errors) == (0, "")
    assert re.search(r"ground-truth +– +[56]\d\.\d \[", printed)
    assert "3 listeners were simulated" in printed
    assert json.loads((tmp_path / "results.json").read_text())["num_listeners"] == 3
    for name in ("means.png", "domains.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    status, printed, _ = run("export", test_folder, "-o", tmp_path, "--name", "mine")
    assert (status, printed) == (0, f"{tmp_path / 'configs/mine.yaml'}\n")
    status, _, errors = run("export", test_folder, "-o", tmp_path, "--name", "../mine")
    assert status == 2 and "use letters, digits" in errors


def test_the_server_ends_with_a_signal_and_without_a_word_too_many(test_folder):
    command = [sys.executable, "-m", "semanticodec", "mushra", "serve", str(test_folder)]
    server = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = re.search(r"http://\S+", server.stdout.readline())[0]
    with urllib.request.urlopen(f"{address}api/about") as reply:
        assert json.load(reply)["mode"] == "mushra"
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate()
    assert (server.returncode, errors) == (130, "semanticodec: stopped\n")


def test_what_cannot_be_served(test_folder, run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = run("serve", test_folder, "--port", port)
        assert status == 2 and f"127.0.0.1:{port} cannot be used" in errors
    status, _, errors = run("serve", test_folder, "--port", "70000")
    assert status == 2 and "give a number from 0 to 65535" in errors
    status, _, errors = run("serve", tmp_path)
    assert status == 2 and "make one with `semanticodec mushra build`" in errors
