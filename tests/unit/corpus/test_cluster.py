"""On a Ray cluster a corpus is the same, whoever dies while it is made."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from corpus_runs import choice, codes_in, write_clips
from semanticodec.corpus import cluster
from semanticodec.corpus.journal import SHARDS_NAME
from semanticodec.corpus.run import tokenize
from semanticodec.errors import ConfigError

pytest.importorskip("ray")
NUM_CLIPS = 200


def workers_below(pid, name):
    """Return the processes below `pid` whose command begins with or holds `name`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(entry.name)] = (int(stat.rpartition(")")[2].split()[1]), words)
    found, queue = [], [pid]
    while queue:
        top = queue.pop()
        below = [child for child, (parent, _) in parents.items() if parent == top]
        queue += below
        found += [child for child in below if name in parents[child][1]]
    return found


def num_finished(folder):
    path = folder / SHARDS_NAME
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_cluster_of_one_machine(tiny_folder, tiny_codec, tmp_path):
    write_clips(tmp_path / "in", 12)
    (tmp_path / "in" / "broken.wav").touch()
    progress = tokenize(choice(tmp_path / "in", tmp_path / "out", tiny_folder, address="local"))
    assert (progress.num_done, progress.num_failed) == (13, 1)
    for name, codes in codes_in(tmp_path / "out").items():
        (path,) = (tmp_path / "in").glob(f"{name}.*")
        assert codes == tiny_codec.encode(path)


def test_a_shard_that_kills_its_workers_is_given_up(tmp_path):
    for _ in range(cluster.MOST_TRIES):
        cluster._count_try(tmp_path, "00003")
    cluster._count_try(tmp_path, "00004")
    with pytest.raises(ConfigError, match="5 workers died over the shard 00003"):
        cluster._count_try(tmp_path, "00003")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    write_clips(folder, NUM_CLIPS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(many, tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    tokenize(choice(many, folder, tiny_folder, jobs=1))
    return codes_in(folder)


@pytest.mark.slow
def test_a_machine_that_leaves_costs_nothing(many, undisturbed, tiny_folder, tmp_path):
    from ray.cluster_utils import Cluster

    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [machines.add_node(num_cpus=1) for _ in range(2)]
        machines.wait_for_nodes()
        is_gone = []

        def watch(progress):
            if not is_gone and progress.num_done > NUM_CLIPS // 3:
                machines.remove_node(nodes[0], allow_graceful=False)
                is_gone.append(True)

        wanted = choice(many, tmp_path / "out", tiny_folder, address=machines.address)
        tokenize(wanted, watch)
        assert is_gone
    finally:
        machines.shutdown()
    assert codes_in(tmp_path / "out") == undisturbed


@pytest.mark.slow
def test_ten_kills_cost_nothing(many, undisturbed, tiny_folder, tmp_path):
    folder = tmp_path / "out"
    words = ["tokenize", many, "-o", folder, "--format", "jsonl", "--shard-size", "6", "--address"]
    command = [*words, "local", "--jobs", "2", "--model", tiny_folder, "-q"]
    rng = np.random.default_rng(3)
    victims = [name for name in ("MapWorker", "raylet/raylet", "driver") for _ in range(3)]
    victims = ["MapWorker", *rng.permutation(victims)]
    process = None
    for victim in victims:
        if process is None or process.poll() is not None:
            process = subprocess.Popen([sys.executable, "-m", "semanticodec", *map(str, command)])
        before = num_finished(folder)
        while process.poll() is None and num_finished(folder) == before:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        pids = [process.pid] if victim == "driver" else workers_below(process.pid, victim)
        for pid in pids[:1]:
            print("kill", victim, pid, num_finished(folder), flush=True)
            os.kill(pid, signal.SIGKILL)
        if victim != "MapWorker":
            process.wait(timeout=120)
    while num_finished(folder) < len(undisturbed) // 6:
        subprocess.run([sys.executable, "-m", "semanticodec", *map(str, command)], timeout=300)
    if process.poll() is None:
        process.wait(timeout=120)
    subprocess.run([sys.executable, "-m", "semanticodec", *map(str, command)], check=True)
    assert codes_in(folder) == undisturbed
