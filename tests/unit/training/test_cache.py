"""Laws of the cache: what the frozen modules give, in pieces that are whole or not there."""

import json

import numpy as np
import pytest
import torch

from semanticodec.errors import ConfigError
from semanticodec.runs import locked
from semanticodec.training import cache
from semanticodec.training.cache import CachedSource, build_cache, useful_windows
from semanticodec.training.data import CropConfig
from semanticodec.training.windows import WindowSource
from tiny_modules import write_audio

CPU = torch.device("cpu")


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(cache, "SHARD_WINDOWS", 2)


class Counter:
    """Stands for the frozen modules; stops with an error after some calls."""

    def __init__(self, calls=1000):
        self.calls = calls

    def __call__(self, wav, num_samples):
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return {"latent": wav[:, :6] * 3.0, "num_valid": num_samples}


def build(folder, source, compute, **changes):
    settings = {"num_windows": 7, "seed": 1, "batch_size": 1, "origin": {"module": "a"}, **changes}
    return build_cache(folder, source, compute, device=CPU, **settings)


def contents(cached):
    return [cached.window(index) for index in range(len(cached))]


def test_a_cache_holds_what_the_modules_compute(tmp_path, small_shards):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    cached = build(tmp_path / "cache", source, Counter(), batch_size=2)
    assert len(cached) == 7
    for index, item in enumerate(contents(cached)):
        rng = np.random.default_rng([1, index])
        window = source.window((index + rng.random()) / 7, rng)
        assert item["num_valid"] == window["num_samples"]
        assert item["latent"].dtype == np.float16
        np.testing.assert_allclose(item["latent"], window["wav"][:6] * 3.0, rtol=1e-3, atol=1e-6)
    drawn = {int(cached.draw(np.random.default_rng(seed))["num_valid"]) for seed in range(50)}
    assert drawn == {int(item["num_valid"]) for item in contents(cached)}


def test_two_runs_do_not_fill_one_cache(tmp_path, small_shards):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    folder = tmp_path / "cache"

    class Nosy(Counter):
        def __call__(self, wav, num_samples):
            with pytest.raises(ConfigError, match=f"another run works on {folder}; wait"):
                build(folder, source, Counter())
            return super().__call__(wav, num_samples)

    expected = contents(build(folder, source, Nosy()))
    with locked(folder):  # a whole cache is for all
        again = contents(build(folder, source, Counter(calls=0)))
    assert all(np.array_equal(a["latent"], b["latent"]) for a, b in zip(expected, again))


def test_an_interrupted_cache_is_completed_without_starting_again(tmp_path, small_shards):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    whole = contents(build(tmp_path / "whole", source, Counter()))
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "cut", source, Counter(calls=5))
    assert len(list((tmp_path / "cut").glob("shard_*"))) == 2
    again = Counter()
    resumed = contents(build(tmp_path / "cut", source, again))
    assert again.calls == 1000 - 3  # 4 of 7 windows were complete
    for one, two in zip(whole, resumed):
        assert all((one[name] == two[name]).all() for name in one)
    build(tmp_path / "cut", source, Counter(calls=0))


def test_a_shard_cut_off_while_it_is_written_does_not_count(tmp_path, small_shards, monkeypatch):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    save, calls = np.save, []

    def failing_save(path, rows, **settings):
        calls.append(path)
        if len(calls) == 4:  # the second array of the second shard
            raise OSError("the disk is full")
        save(path, rows, **settings)

    monkeypatch.setattr(np, "save", failing_save)
    with pytest.raises(OSError, match="disk is full"):
        build(tmp_path / "cache", source, Counter())
    assert [shard.name for shard in (tmp_path / "cache").glob("shard_*")] == ["shard_00000"]
    assert len(contents(build(tmp_path / "cache", source, Counter()))) == 7


def test_a_cache_of_another_origin_is_refused(tmp_path, small_shards):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    build(tmp_path / "cache", source, Counter())
    with pytest.raises(ConfigError, match=r"other module\).*Delete that folder"):
        build(tmp_path / "cache", source, Counter(), origin={"module": "b"})
    with pytest.raises(ConfigError, match="other recordings"):
        build(tmp_path / "cache", source.varied(0.5), Counter())
    (tmp_path / "cache" / "index.json").write_text("{")
    with pytest.raises(ConfigError, match="another origin"):
        build(tmp_path / "cache", source, Counter())


def test_a_cache_is_read_from_disk_not_into_memory(tmp_path, small_shards):
    source = WindowSource.find((write_audio(tmp_path / "data"),), CropConfig())
    build(tmp_path / "cache", source, Counter())
    assert json.loads((tmp_path / "cache" / "index.json").read_text())["num_windows"] == 7
    cached = CachedSource(tmp_path / "cache", 7)
    assert all(isinstance(rows, np.memmap) for shard in cached._shards for rows in shard.values())


@pytest.mark.parametrize(("seconds", "expected"), [((2.0,), 4), ((10.24,), 4), ((15.0,) * 3, 20)])
def test_a_cache_is_as_large_as_the_data_is_good_for(tmp_path, seconds, expected):
    data = write_audio(tmp_path, seconds=seconds, domains=("music",))
    source = WindowSource.find((data,), CropConfig())
    assert useful_windows(source, 3000) == expected
    assert useful_windows(source, 3) == 3
