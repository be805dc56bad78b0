"""Recordings of shards are drawn by their bytes, from random numbers alone."""

import tarfile

import numpy as np
import pytest
import soundfile

from semanticodec.errors import AudioError, DataError
from semanticodec.training import shards as module
from semanticodec.training.data import CropConfig, CropSource
from semanticodec.training.reader import read_piece
from semanticodec.training.sources import find_entries
from semanticodec.training.windows import WindowSource


def write_shard(path, levels, seconds):
    """Write a shard of constant recordings, whose level tells which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number, (level, duration_s) in enumerate(zip(levels, seconds, strict=True)):
            sound = path.with_name(f"{number}.wav")
            soundfile.write(sound, np.full(round(duration_s * 16_000), level), 16_000)
            archive.add(sound, f"{number:03d}.wav")
            sound.unlink()
            note = path.with_name("note.txt")
            note.write_text("a caption")
            archive.add(note, f"{number:03d}.txt")
            note.unlink()
    return path


@pytest.fixture
def folder(tmp_path):
    """Two domains, three shards; levels are different everywhere."""
    write_shard(tmp_path / "speech" / "0.tar", [0.1, 0.2], [1.0, 3.0])
    write_shard(tmp_path / "speech" / "1.tar", [0.3], [4.0])
    write_shard(tmp_path / "music" / "0.tar", [0.4, 0.5, 0.6], [2.0, 2.0, 4.0])
    return tmp_path


def level(samples):
    assert np.ptp(samples) < 1e-3
    return round(float(samples[0]), 2)


def test_a_pattern_lists_shards_with_estimated_lengths(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(
        module, "measured", lambda entry, real=module.measured: opened.append(entry) or real(entry)
    )
    entries = find_entries((folder / "*" / "*.tar",))
    found = [(entry.path.removeprefix(str(folder)), entry.domain) for entry in entries]
    assert found == [
        ("/music/0.tar", "music"),
        ("/speech/0.tar", "speech"),
        ("/speech/1.tar", "speech"),
    ]
    assert [entry.duration_s for entry in entries] == pytest.approx([8, 4, 4], rel=0.15)
    assert len(opened) == 3  # one recording of each


def test_numbered_shards(folder):
    entries = find_entries((folder / "speech" / "{0..1}.tar",))
    assert [entry.path[-5:] for entry in entries] == ["0.tar", "1.tar"]
    with pytest.raises(DataError, match="2.tar matches no file"):
        find_entries((folder / "speech" / "{0..2}.tar",))


def test_places_of_a_shard_are_shares_of_its_recordings(folder):
    (entry,) = find_entries((folder / "music" / "*.tar",))
    places = (np.arange(800) + 0.5) / 800
    levels = [level(read_piece(entry, 100, position=place)) for place in places]
    values, counts = np.unique(levels, return_counts=True)
    assert values.tolist() == [0.4, 0.5, 0.6]
    assert counts == pytest.approx([200, 200, 400], abs=2)
    assert levels == sorted(levels)
    # The place within a recording runs from 0 to 1 in each.
    within = [entry.at(None, place)[2] for place in places]
    assert np.diff(within)[np.diff(levels) == 0] == pytest.approx(np.diff(within)[0], rel=0.6)
    assert min(within) < 0.01 and max(within) > 0.99 and max(within) < 1
    # A start counts from the first sample of the shard, and any start has a recording.
    assert level(read_piece(entry, 100, start=0)) == 0.4
    assert level(read_piece(entry, 100, start=10**9)) == 0.6


@pytest.mark.parametrize("make", [CropSource, WindowSource], ids=["crops", "windows"])
def test_draws_follow_from_the_random_numbers_alone(folder, make):
    config = CropConfig(crop_samples=8000)
    seeds = list(range(40))

    def drawn(order):
        module._index.cache_clear()
        source = make.find((folder / "*" / "*.tar",), config)
        found = {seed: source.draw(np.random.default_rng(seed))["wav"] for seed in order}
        return [found[seed] for seed in seeds]

    first, second = drawn(seeds), drawn(seeds[::-1])
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert len({round(float(wav[0]), 2) for wav in first}) == 6


def test_short_recordings_are_joined_with_pieces_of_shards(folder):
    source = WindowSource.find((folder / "speech" / "*.tar",), CropConfig())
    wav = source.varied(1.0).draw(np.random.default_rng(0))["wav"]
    assert (np.abs(wav) > 0.05).all()  # nothing is padded
    assert len(np.unique(np.round(wav, 1))) > 1


def test_domains_have_their_weights(folder):
    config = CropConfig(crop_samples=100, domain_weights=(("music", 1.0), ("speech", 0.0)))
    source = CropSource.find((folder / "*" / "*.tar",), config)
    levels = {level(source.draw(np.random.default_rng(seed))["wav"]) for seed in range(30)}
    assert levels == {0.4, 0.5, 0.6}


def test_what_is_no_shard_is_refused(folder):
    for pattern, text in (("*/*.wav", "matches no file"), ("*", "/music; a pattern stands for")):
        with pytest.raises(DataError, match=text):
            find_entries((folder / pattern,))
    (folder / "speech" / "2.tar").write_bytes(b"no tar")
    assert len(find_entries((folder / "speech" / "*.tar",))) == 3
    (folder / "bad").mkdir()
    (folder / "bad" / "0.tar").write_bytes(b"no tar")
    write_shard(folder / "bad" / "1.tar", [], [])
    with pytest.raises(DataError, match="No readable audio in the shards"):
        find_entries((folder / "bad" / "*.tar",))


def test_a_broken_shard_is_drawn_again(folder, caplog):
    source = CropSource.find((folder / "speech" / "*.tar",), CropConfig(crop_samples=100))
    (folder / "speech" / "0.tar").write_bytes(b"broken meanwhile")
    levels = {level(source.draw(np.random.default_rng(seed))["wav"]) for seed in range(20)}
    assert levels == {0.3}
    assert len([text for text in caplog.messages if "is not a plain tar archive" in text]) == 1
    with pytest.raises(AudioError, match="is not a plain tar"):
        read_piece(source.entries[0], 100)
