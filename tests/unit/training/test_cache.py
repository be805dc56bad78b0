import json

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.audio.fbank import WINDOW_SAMPLES, Fbank, window_fbank
from semanticodec.audio.io import read_blocks
from semanticodec.audio.windows import encode_windows
from semanticodec.checkpoints.trained_module import load_audiomae
from semanticodec.errors import ConfigError, DataError
from semanticodec.layers.stacking import num_positions
from semanticodec.training import cache
from semanticodec.training.cache import (
    READ_SAMPLES,
    CachedSource,
    WindowSource,
    build_cache,
    padded_window,
    read_samples,
    stacked_features,
    window_features,
)
from semanticodec.training.data import CropConfig
from semanticodec.training.sources import find_entries
from semanticodec.training.stages.codebook import feature_encoder, window_starts
from tiny_modules import export_audiomae, write_audio

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return feature_encoder(load_audiomae(export_audiomae(tmp_path_factory.mktemp("box"))), 2)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(cache, "SHARD_WINDOWS", 2)


def one_recording(folder, num_samples):
    folder.mkdir()
    wav = np.random.default_rng(num_samples).normal(0, 0.1, num_samples)
    # The last part is silence, so that padding does not show by its values.
    wav[num_samples - 500 :] = 0.0
    soundfile.write(folder / "0.wav", wav, 16000)
    [entry] = find_entries((folder,))
    return entry


@pytest.mark.parametrize(
    "num_samples",
    [5000, WINDOW_SAMPLES - 100, WINDOW_SAMPLES, WINDOW_SAMPLES + 100, 2 * WINDOW_SAMPLES + 9000],
)
def test_windows_have_the_features_that_the_codec_computes(encoder, tmp_path, num_samples):
    entry = one_recording(tmp_path / "set", num_samples)
    fbank = Fbank()
    ours = [padded_window(read_samples(entry, start=start)) for start in window_starts(entry)]
    theirs = list(encode_windows(read_blocks(entry.path)))
    assert [count for _, count in ours] == [window.num_samples for window in theirs]
    for (wav, count), window in zip(ours, theirs):
        result = window_features(encoder, fbank, torch.from_numpy(wav)[None], torch.tensor([count]))
        rows = window_fbank(fbank, window.wav)
        torch.testing.assert_close(result.features, encoder.features(rows), rtol=1e-5, atol=1e-5)
        assert result.num_valid.tolist() == encoder.valid_positions(rows).tolist()
        assert result.num_positions.tolist() == [num_positions(count, 2)]


def test_short_and_whole_windows_share_a_batch(encoder):
    wav = torch.randn(2, READ_SAMPLES, generator=torch.Generator().manual_seed(0))
    wav[0, 40_000:] = 0.0
    num_samples = torch.tensor([40_000, WINDOW_SAMPLES])
    both = window_features(encoder, Fbank(), wav, num_samples)
    for item in range(2):
        alone = window_features(
            encoder, Fbank(), wav[item : item + 1], num_samples[item : item + 1]
        )
        torch.testing.assert_close(both.features[item], alone.features[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_features_of_patches_stack_to_those_of_any_rate(tmp_path, stack_factor):
    audiomae = load_audiomae(export_audiomae(tmp_path))
    patches, other = (feature_encoder(audiomae, factor) for factor in (1, stack_factor))
    wav = torch.randn(4, READ_SAMPLES, generator=torch.Generator().manual_seed(0))
    # Ends that fill a position, a column, or neither.
    num_samples = torch.tensor([WINDOW_SAMPLES, 40_000, 2560, 5121])
    for row, count in zip(wav, num_samples.tolist()):
        row[count:] = 0.0
    ours = stacked_features(window_features(patches, Fbank(), wav, num_samples), stack_factor)
    theirs = window_features(other, Fbank(), wav, num_samples)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected)


def test_evenly_spaced_points_cover_every_recording_by_its_duration(tmp_path):
    source = WindowSource(find_entries((write_audio(tmp_path, seconds=(3.0, 12.0)),)), CropConfig())
    rng = np.random.default_rng(0)
    lengths = [source.window((i + 0.5) / 15, rng)["num_samples"].item() for i in range(15)]
    assert sorted(lengths) == [48000] * 3 + [WINDOW_SAMPLES] * 12


def test_domain_weights_stretch_the_domains(tmp_path):
    entries = find_entries((write_audio(tmp_path, seconds=(3.0,)),))
    weights = (("general", 1.0), ("music", 3.0), ("speech", 0.0))
    source = WindowSource(entries, CropConfig(domain_weights=weights))
    rng = np.random.default_rng(0)
    drawn = [source.window((i + 0.5) / 8, rng)["wav"][:10] for i in range(8)]
    known = [read_samples(entry)[:10] for entry in entries]
    rows = [next(i for i, start in enumerate(known) if (start == wav).all()) for wav in drawn]
    assert rows == [0, 0, 1, 1, 1, 1, 1, 1]
    with pytest.raises(DataError, match=r"weighs the domains .*'birds'.*\['general', 'music'"):
        WindowSource(entries, CropConfig(domain_weights=(("birds", 1.0),)))


def test_joined_windows_are_filled_from_their_own_domain(tmp_path):
    rng = np.random.default_rng(0)
    for domain, level in (("loud", 0.5), ("quiet", 0.1)):
        (tmp_path / domain).mkdir()
        for number in range(2):
            soundfile.write(tmp_path / domain / f"{number}.wav", np.full(30_000, level), 16000)
    source = WindowSource.find((tmp_path,), CropConfig()).varied(1.0)
    for point, level in ((0.2, 0.5), (0.45, 0.5), (0.7, 0.1), (0.95, 0.1)):
        item = source.window(point, rng)
        assert item["num_samples"] == WINDOW_SAMPLES
        np.testing.assert_allclose(item["wav"], level, atol=1e-4)


def test_speed_moves_the_pitch_of_a_window(tmp_path):
    (tmp_path / "music").mkdir()
    times = np.arange(32_000) / 16_000
    soundfile.write(tmp_path / "music" / "0.wav", 0.5 * np.sin(2 * np.pi * 1000 * times), 16000)
    source = WindowSource.find((tmp_path,), CropConfig()).varied(0.0, speeds=(1.1, 1.1))
    item = source.window(0.0, np.random.default_rng(0))
    num_samples = int(item["num_samples"])
    assert num_samples == pytest.approx(32_000 / 1.1, abs=2)
    spectrum = np.abs(np.fft.rfft(item["wav"][:num_samples]))
    assert spectrum.argmax() * 16_000 / num_samples == pytest.approx(1100, abs=1)


def test_a_drawn_window_is_a_function_of_the_numbers_it_gets(tmp_path):
    source = WindowSource.find((write_audio(tmp_path),), CropConfig(gain_db=(-6.0, 6.0))).varied(
        0.5
    )
    for seed in range(4):
        one, two = (source.draw(np.random.default_rng(seed)) for _ in range(2))
        assert one["num_samples"] == two["num_samples"]
        assert (one["wav"] == two["wav"]).all()
        assert (one["wav"][one["num_samples"] :][240:] == 0).all()


def test_a_damaged_recording_gives_way_to_the_next(tmp_path, caplog):
    entries = find_entries((write_audio(tmp_path, domains=("music",)),))
    (tmp_path / "music" / "0.wav").write_bytes(b"RIFF")
    item = WindowSource(entries, CropConfig()).window(0.0, np.random.default_rng(0))
    assert item["num_samples"] == WINDOW_SAMPLES
    assert "0.wav" in caplog.text
    (tmp_path / "music" / "1.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="could not be decoded"):
        WindowSource(entries, CropConfig()).window(0.0, np.random.default_rng(0))


class Counter:
    """Stands for the frozen boxes; stops with an error after some calls."""

    def __init__(self, calls=1000):
        self.calls = calls

    def __call__(self, wav, num_samples):
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return {"latent": wav[:, :6] * 3.0, "num_valid": num_samples}


def build(folder, source, compute, **changes):
    settings = {"num_windows": 7, "seed": 1, "batch_size": 1, "origin": {"box": "a"}, **changes}
    return build_cache(folder, source, compute, device=CPU, **settings)


def contents(cached):
    return [cached.window(index) for index in range(len(cached))]


def test_a_cache_holds_what_the_boxes_compute(tmp_path, small_shards):
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
    with pytest.raises(ConfigError, match=r"other box\).*Delete that folder"):
        build(tmp_path / "cache", source, Counter(), origin={"box": "b"})
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
