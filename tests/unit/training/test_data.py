"""Laws of drawing batches: a pure function of (seed, step, item), however it is spread."""

import tarfile

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.errors import ConfigError, DataError
from semanticodec.training.data import (
    Batch,
    CropConfig,
    CropSource,
    Loader,
    Rank,
    draw_batch,
    rand_per_item,
    randn_per_item,
)

CROP = 4000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three domains; sample value = ramp, so that a crop tells where it was cut."""
    folder = tmp_path_factory.mktemp("audio")
    lengths = {"speech/a": 16000, "speech/b": 48000, "music/c": 32000, "general/short": 1000}
    for number, (name, length) in enumerate(lengths.items(), start=1):
        path = folder / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        ramp = (np.arange(length) % 8000 + number * 8000 // 4).astype(np.int16)
        soundfile.write(path, ramp, 16000, subtype="PCM_16")
    return folder


def source_of(folder, **settings):
    return CropSource.find((folder,), CropConfig(crop_samples=CROP, **settings))


def test_batch_is_a_pure_function_of_seed_step_and_item(folder):
    first = draw_batch(source_of(folder), 3, 7, 4, Rank())
    again = draw_batch(source_of(folder), 3, 7, 4, Rank())
    assert torch.equal(first.wav, again.wav)
    assert torch.equal(
        randn_per_item(first.generators, (5,)), randn_per_item(again.generators, (5,))
    )
    for seed, step in ((4, 7), (3, 8)):
        other = draw_batch(source_of(folder), seed, step, 4, Rank())
        assert not torch.equal(first.wav, other.wav)
    assert first.wav.shape == (4, CROP)
    assert first.wav.dtype == torch.float32


def test_processes_share_the_global_batch(folder):
    source = source_of(folder)
    whole = draw_batch(source, 0, 5, 6, Rank())
    parts = [draw_batch(source, 0, 5, 2, Rank(index=rank, world_size=3)) for rank in range(3)]
    assert torch.equal(whole.wav, torch.cat([part.wav for part in parts]))
    noise = [randn_per_item(part.generators, (2, 3)) for part in parts]
    assert torch.equal(randn_per_item(whole.generators, (2, 3)), torch.cat(noise))


def test_loader_can_start_at_any_step(folder):
    loader = Loader(source_of(folder), seed=1, batch_size=2, rank=Rank())
    from_start = loader.batches(0)
    wavs = {batch.step: batch.wav for batch, _ in zip(from_start, range(6))}
    from_start.close()
    from_middle = loader.batches(4)
    for step in (4, 5):
        batch = next(from_middle)
        assert batch.step == step
        assert torch.equal(batch.wav, wavs[step])
    from_middle.close()


def test_cached_and_partial_reads_agree(folder):
    cached = draw_batch(source_of(folder), 0, 0, 16, Rank())
    partial = draw_batch(source_of(folder, cache_bytes=0), 0, 0, 16, Rank())
    assert torch.equal(cached.wav, partial.wav)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_shards_give_the_crops_of_their_files(folder, tmp_path, cache_bytes):
    shard = tmp_path / "speech.tar"
    with tarfile.open(shard, "w") as archive:
        for path in sorted((folder / "speech").iterdir()):
            archive.add(path, arcname=path.name)
    config = CropConfig(crop_samples=CROP, cache_bytes=cache_bytes)
    from_shard = draw_batch(CropSource.find((shard,), config), 0, 0, 8, Rank())
    from_folder = draw_batch(CropSource.find((folder / "speech",), config), 0, 0, 8, Rank())
    assert torch.equal(from_shard.wav, from_folder.wav)


def test_cache_choice_does_not_depend_on_what_was_drawn(folder):
    source = source_of(folder, cache_bytes=40_000)
    draw_batch(source, 0, 0, 4, Rank())
    later = draw_batch(source, 0, 1, 8, Rank()).wav
    assert torch.equal(
        later, draw_batch(source_of(folder, cache_bytes=40_000), 0, 1, 8, Rank()).wav
    )
    assert sum(samples.nbytes for samples in source._cache.values()) <= 40_000


def test_short_recordings_are_padded_at_the_end(folder):
    source = source_of(folder, domain_weights=(("general", 1.0),))
    wav = source.draw(np.random.default_rng(0))["wav"]
    assert wav.shape == (CROP,)
    assert (wav[:1000] > 0).all()
    assert (wav[1000:] == 0).all()


def test_other_rates_come_out_at_16_khz(tmp_path):
    time = np.arange(44100) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), 44100)
    for cache_bytes in (0, 1 << 20):
        wav = source_of(tmp_path, cache_bytes=cache_bytes).draw(np.random.default_rng(1))["wav"]
        peak = np.abs(np.fft.rfft(wav)).argmax() * 16000 / CROP
        assert peak == pytest.approx(1000, abs=4)
        assert np.abs(wav).max() == pytest.approx(0.5, abs=0.05)


def test_recordings_are_drawn_by_duration(tmp_path):
    # Constant files: the value of a sample tells which file it came from.
    seconds = {0.1: 1.0, 0.2: 2.0, 0.3: 5.0}
    for value, duration in seconds.items():
        folder = tmp_path / ("speech" if value < 0.25 else "music")
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{value}.wav", np.full(round(16000 * duration), value), 16000)
    source = CropSource.find((tmp_path,), CropConfig(crop_samples=8))
    rng = np.random.default_rng(0)
    values = np.array([source.draw(rng)["wav"][0] for _ in range(4000)])
    for value, duration in seconds.items():
        share = np.isclose(values, value, atol=1e-3).mean()
        assert share == pytest.approx(duration / 8.0, abs=0.03)


def test_domain_weights_rule(folder):
    weights = (("general", 1.0), ("music", 3.0))
    source = source_of(folder, domain_weights=weights)
    rng = np.random.default_rng(0)
    short = np.mean([source.draw(rng)["wav"][-1] == 0 for _ in range(2000)])
    assert short == pytest.approx(0.25, abs=0.04)
    with pytest.raises(DataError, match="noise"):
        source_of(folder, domain_weights=(("noise", 1.0),))


def test_gain_stays_in_range(folder):
    plain = draw_batch(source_of(folder), 0, 0, 32, Rank()).wav
    changed = draw_batch(source_of(folder, gain_db=(-6.0, 0.0)), 0, 0, 32, Rank()).wav
    ratio = (changed.amax(dim=1) / plain.amax(dim=1)).numpy()
    assert ratio.min() >= 10 ** (-6 / 20) - 1e-4
    assert ratio.max() <= 1.0
    assert ratio.std() > 0.05


def test_damaged_recordings_are_drawn_again(tmp_path):
    soundfile.write(tmp_path / "good.wav", np.full(16000, 0.25), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    for cache_bytes in (0, 1 << 20):
        batch = draw_batch(source_of(tmp_path, cache_bytes=cache_bytes), 0, 0, 8, Rank())
        assert torch.allclose(batch.wav, torch.tensor(0.25), atol=1e-4)
    (tmp_path / "good.wav").unlink()
    with pytest.raises(DataError, match="in a row could not be decoded"):
        draw_batch(source_of(tmp_path), 0, 0, 1, Rank())


def test_noise_of_an_item_does_not_depend_on_its_batch():
    seeds = [5, 6, 7]

    def generators(chosen):
        return [torch.Generator().manual_seed(seed) for seed in chosen]

    for draw in (randn_per_item, rand_per_item):
        together = draw(generators(seeds), (4, 2))
        alone = torch.cat([draw(generators([seed]), (4, 2)) for seed in seeds])
        assert torch.equal(together, alone)
        assert not torch.equal(together[0], together[1])


def test_split_keeps_items_in_order():
    generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
    extra = {"latent": torch.arange(8.0).view(4, 2)}
    batch = Batch(wav=torch.rand(4, 10), generators=generators, step=3, extra=extra)
    parts = batch.split(2)
    assert torch.equal(torch.cat([part.wav for part in parts]), batch.wav)
    assert torch.equal(torch.cat([part.extra["latent"] for part in parts]), extra["latent"])
    assert [g for part in parts for g in part.generators] == generators
    assert {part.step for part in parts} == {3}


def test_impossible_batch_sizes_are_refused(folder):
    with pytest.raises(ConfigError, match="batch size of 0"):
        Loader(source_of(folder), seed=0, batch_size=0, rank=Rank())
