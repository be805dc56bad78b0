"""Several processes, each with a share of the points, find what one finds with all of them."""

import os
import subprocess
import sys

import numpy as np
import pytest

import semanticodec
from semanticodec.training.kmeans import kmeans

# Ends of the two shares among 4000 points; fourth points are counted over both.
SHARES = {"halves": [0, 1501, 4000], "few": [0, 3, 4000], "none": [0, 4000, 4000]}
PROGRAM = """
import sys, numpy as np, torch.distributed as dist
from semanticodec.errors import DataError
from semanticodec.training.kmeans import kmeans

rank, init, points, out = int(sys.argv[1]), *sys.argv[2:5]
dist.init_process_group("gloo", init_method="file://" + init, rank=rank, world_size=2)
for name, ends in eval(sys.argv[5]).items():
    share = np.load(points, mmap_mode="r")[ends[rank] : ends[rank + 1]]
    found = kmeans(share, 25, iterations=6, seed=3)
    np.savez(f"{out}_{name}_{rank}.npz", centroids=found.centroids, inertia=found.inertia)
try:
    kmeans(np.ones((7, 2), np.float32), 25, iterations=1, seed=3)
except DataError as error:
    print(error)
dist.destroy_process_group()
"""


def test_two_processes_find_what_one_finds(tmp_path):
    # Rows come in order, so that the shares differ.
    points = np.sort(np.random.default_rng(1).normal(size=(4000, 6)), axis=0).astype(np.float16)
    np.save(tmp_path / "points.npy", points)
    source = os.path.dirname(os.path.dirname(semanticodec.__file__))
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    paths = [str(tmp_path / name) for name in ("init", "points.npy", "found")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), *paths, str(SHARES)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    alone = kmeans(points, 25, iterations=6, seed=3)
    for process in processes:
        told, _ = process.communicate(timeout=200)
        assert process.returncode == 0
        assert "14 features are too few for 25 centroids" in told
    for name in SHARES:
        first, second = (np.load(tmp_path / f"found_{name}_{rank}.npz") for rank in range(2))
        assert (first["centroids"] == second["centroids"]).all()
        np.testing.assert_allclose(first["centroids"], alone.centroids, rtol=1e-6, atol=1e-6)
        assert float(first["inertia"]) == pytest.approx(alone.inertia, rel=1e-9)
