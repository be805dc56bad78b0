"""A corpus is what `codec.encode` gives of every recording alone, however the run went."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus_runs import choice, codes_in, write_clips
from semanticodec.corpus.journal import SHARDS_NAME, CorpusJournal
from semanticodec.corpus.run import tokenize
from semanticodec.errors import ConfigError, DataError, OutputError
from semanticodec.runs import locked

BROKEN = {"broken/text", "broken/empty", "broken/short"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Short clips, a recording of three windows, and three files that are no audio."""
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, 28)
    samples = 0.1 * np.random.default_rng(1).normal(size=400_000)
    soundfile.write(folder / "long.flac", samples, 16_000)
    (folder / "broken").mkdir()
    (folder / "broken" / "text.wav").write_text("no audio")
    (folder / "broken" / "empty.flac").touch()
    soundfile.write(folder / "broken" / "short.wav", np.zeros(100), 16_000)
    return folder


@pytest.fixture(scope="module")
def alone(clips, tiny_codec):
    """The codes of every clip by itself, by id."""
    paths = [path for path in sorted(clips.rglob("*.*")) if path.parent.name != "broken"]
    return {str(path.relative_to(clips).with_suffix("")): tiny_codec.encode(path) for path in paths}


@pytest.mark.parametrize("jobs", [1, 2])
def test_codes_are_those_of_every_recording_alone(clips, alone, tiny_folder, tmp_path, jobs):
    progress = tokenize(choice(clips, tmp_path / "out", tiny_folder, jobs=jobs))
    assert codes_in(tmp_path / "out") == alone
    assert progress.num_done == progress.num_planned == len(alone) + 3
    assert {line["id"] for line in CorpusJournal(tmp_path / "out").failures()} == BROKEN


def test_progress_moves_with_every_window_of_a_long_recording(clips, tiny_folder, tmp_path):
    seen = []

    def watch(progress):
        seen.append((progress.num_done, progress.heard_s))

    progress = tokenize(choice(clips / "long.flac", tmp_path / "out", tiny_folder), watch)
    assert seen == [(0, 0.0), (0, 10.24), (0, 20.48), (0, 25.0), (1, 25.0)]
    assert progress.num_heard == progress.num_samples


@pytest.mark.slow
def test_three_hundred_clips_in_another_order(tiny_folder, tiny_codec, tmp_path):
    write_clips(tmp_path / "in", 300, longest_s=12.0)
    paths = sorted((tmp_path / "in").rglob("*.*"))
    order = np.random.default_rng(8).permutation(len(paths))
    rows = "".join(f"{paths[at]},{at}\n" for at in order)
    (tmp_path / "m.csv").write_text(f"path,id\n{rows}")
    tokenize(choice(tmp_path / "m.csv", tmp_path / "out", tiny_folder, jobs=2))
    codes = codes_in(tmp_path / "out")
    assert codes == {str(at): tiny_codec.encode(path) for at, path in enumerate(paths)}


def test_a_second_run_does_nothing(clips, tiny_folder, tmp_path):
    wanted = choice(clips, tmp_path / "out", tiny_folder)
    tokenize(wanted)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "jsonl").iterdir()}
    assert tokenize(wanted).num_planned == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_restart_does_only_what_is_missing(clips, alone, tiny_folder, tmp_path):
    folder = tmp_path / "out"
    wanted = choice(clips, folder, tiny_folder, jobs=1)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.num_done > 14:
            raise Stop

    with pytest.raises(Stop):
        tokenize(wanted, stop)
    finished = {line["shard"] for line in CorpusJournal(folder).shards()}
    assert finished
    # What a killed process leaves: files without a line, and half a line.
    (folder / "jsonl" / "00007.jsonl").write_text("half a fi")
    (folder / "jsonl" / ".0123.partial").write_text("half")
    with (folder / SHARDS_NAME).open("a") as file:
        file.write('{"shard": "000')
    kept = (folder / "jsonl" / f"{min(finished)}.jsonl").stat().st_mtime_ns
    progress = tokenize(wanted)
    assert 0 < progress.num_planned <= len(alone) + 3 - 6 * len(finished)
    assert (folder / "jsonl" / f"{min(finished)}.jsonl").stat().st_mtime_ns == kept
    assert not (folder / "jsonl" / ".0123.partial").exists()
    assert codes_in(folder) == alone


def test_errors_are_tried_again_on_request_only(clips, tiny_folder, tiny_codec, tmp_path):
    source = tmp_path / "in"
    write_clips(source, 4)
    repaired = source / "a" / "late.wav"
    repaired.write_text("not yet")
    (source / "a" / "never.wav").touch()
    wanted = choice(source, tmp_path / "out", tiny_folder)
    tokenize(wanted)
    soundfile.write(repaired, 0.1 * np.random.default_rng(2).normal(size=9000), 16_000)
    assert tokenize(wanted).num_planned == 0
    again = choice(source, tmp_path / "out", tiny_folder, retry_errors=True)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(again, stop)
    assert not (tmp_path / "out" / "dataset.json").exists(), "it is no whole corpus now"
    assert tokenize(again).num_planned == 2, "the shard that waits does them, and no other"
    assert codes_in(tmp_path / "out")["a/late"] == tiny_codec.encode(repaired)
    (line,) = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == "a/never"
    assert tokenize(again).num_planned == 1


def test_a_limit_of_errors_stops_the_run(clips, tiny_folder, tmp_path):
    with pytest.raises(DataError, match="more than the 1 allowed"):
        tokenize(choice(clips, tmp_path / "out", tiny_folder, max_errors=1, jobs=1))
    assert (tmp_path / "out" / "errors.jsonl").read_text().count("\n") == 3


def test_other_settings_are_refused(clips, tiny_folder, tmp_path):
    source = tmp_path / "in"
    write_clips(source, 2)
    tokenize(choice(source, tmp_path / "out", tiny_folder))
    with pytest.raises(ConfigError, match=r"formats was \[\"jsonl\"\], now \[\"npy\"\]"):
        tokenize(choice(source, tmp_path / "out", tiny_folder, formats=["npy"]))


def test_one_run_at_a_time(clips, tiny_folder, tmp_path):
    with locked(tmp_path), pytest.raises(ConfigError, match="another run works on"):
        tokenize(choice(clips, tmp_path, tiny_folder))


def test_a_full_disk_stops_and_a_restart_finishes(clips, alone, tiny_folder, tmp_path, monkeypatch):
    from semanticodec.corpus.formats.jsonl import Jsonl

    write = Jsonl.write
    calls = []

    def full(self, folder, shard, records):
        calls.append(shard)
        if len(calls) == 3:
            raise OutputError("no space is left on the device")
        return write(self, folder, shard, records)

    monkeypatch.setattr(Jsonl, "write", full)
    wanted = choice(clips, tmp_path / "out", tiny_folder)
    with pytest.raises(OutputError, match="no space"):
        tokenize(wanted)
    monkeypatch.undo()
    tokenize(wanted)
    assert codes_in(tmp_path / "out") == alone


def test_killed_at_any_moment_nothing_is_lost(clips, alone, tiny_folder, tmp_path):
    folder = tmp_path / "out"
    words = ["tokenize", clips, "-o", folder, "--format", "jsonl", "--shard-size", "6"]
    command = [sys.executable, "-m", "semanticodec", *words, "--model", tiny_folder, "--jobs", "2"]
    rng = np.random.default_rng(11)
    num_killed = 0
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for_lines(folder / SHARDS_NAME, process)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        num_killed += process.wait() == -signal.SIGKILL
    assert num_killed
    assert subprocess.run(command, capture_output=True).returncode == 1  # three broken files
    assert codes_in(folder) == alone


def wait_for_lines(path: Path, process: subprocess.Popen) -> None:
    """Wait until the run has finished a shard more, or ended."""
    size = path.stat().st_size if path.exists() else 0
    while process.poll() is None and not (path.exists() and os.path.getsize(path) > size):
        time.sleep(0.01)
