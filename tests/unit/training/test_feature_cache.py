"""Features are computed once, by whoever comes first, and are whole or not there."""

import multiprocessing

import numpy as np
import pytest

from semanticodec.errors import DataError
from semanticodec.training.feature_cache import kept_features

ORIGIN = {"seed": 1}


def three_of_five(path):
    """Write what `collect_features` writes: rows, and room for more."""
    with (path.parent.parent / "calls").open("a") as file:
        file.write("x")
    np.save(path, np.arange(10, dtype=np.float16).reshape(5, 2))
    return np.load(path, mmap_mode="r")[:3]


def ask(folder):
    assert len(kept_features(folder, ORIGIN, three_of_five)) == 3


def test_one_process_computes_and_the_others_wait(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=ask, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert (tmp_path / "calls").read_text() == "x"
    rows = kept_features(tmp_path, ORIGIN, three_of_five)
    assert rows.tolist() == [[0, 1], [2, 3], [4, 5]]
    kept_features(tmp_path, {"seed": 2}, three_of_five)
    assert (tmp_path / "calls").read_text() == "xx"


def test_a_process_that_fails_leaves_nothing(tmp_path):
    def broken(path):
        three_of_five(path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_features(tmp_path, ORIGIN, broken)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(kept_features(tmp_path, ORIGIN, three_of_five)) == 3


def test_a_damaged_cache_is_refused(tmp_path):
    kept_features(tmp_path, ORIGIN, three_of_five)
    (index,) = tmp_path.glob("*/index.json")
    index.write_text('{"num_features": 6}')
    with pytest.raises(DataError, match="is damaged .*delete that folder"):
        kept_features(tmp_path, ORIGIN, three_of_five)
