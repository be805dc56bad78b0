"""Laws of packs: they keep to their size, hold as much of every domain, and show damage."""

import shutil

import numpy as np
import pytest
import soundfile

from experiments.accelerator.packs import pack, part_folders, problems
from experiments.accelerator.recordings import unpack
from semanticodec.errors import ConfigError, DataError
from semanticodec.training.sources import find_entries
from tiny_modules import write_audio

SECONDS = (0.5, 1.0, 0.4, 0.8, 0.7, 0.6)
LIMIT = 150_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_audio(tmp_path_factory.mktemp("sources"), seconds=SECONDS)


def packed(sources, out, **changes):
    settings = {"num_parts": 2, "part_bytes": LIMIT, **changes}
    return pack([sources], out, **settings)


def num_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_parts_keep_to_their_size_and_are_alike(sources, tmp_path):
    manifest = packed(sources, tmp_path / "packs")
    folders = part_folders(tmp_path / "packs")
    assert [folder.name for folder in folders] == list(manifest["parts"]) == ["part_00", "part_01"]
    for folder in folders:
        assert 0.6 * LIMIT < num_bytes(folder) <= LIMIT
        seconds = manifest["parts"][folder.name]["seconds"]
        assert set(seconds) == {"general", "music", "speech"}
        assert max(seconds.values()) - min(seconds.values()) <= max(SECONDS)
    assert problems(tmp_path / "packs") == []


def test_the_same_call_writes_the_same_parts(sources, tmp_path):
    assert packed(sources, tmp_path / "a") == packed(sources, tmp_path / "b")


def test_training_reads_a_part_as_it_is(sources, tmp_path):
    packed(sources, tmp_path / "packs", num_parts=1)
    entries = find_entries((tmp_path / "packs" / "part_00",))
    assert {entry.domain for entry in entries} == {"general", "music", "speech"}


def test_clips_count_with_the_first_part(sources, tmp_path):
    clips = write_audio(tmp_path / "suite", seconds=(0.3, 0.3))
    packed(sources, tmp_path / "packs", clips=clips, clips_per_domain=1)
    kept = sorted((tmp_path / "packs" / "clips").rglob("*.wav"))
    assert [path.parent.name for path in kept] == ["general", "music", "speech"]
    first = num_bytes(tmp_path / "packs" / "part_00") + num_bytes(tmp_path / "packs" / "clips")
    assert first <= LIMIT
    with pytest.raises(ConfigError, match="--num-clips"):
        packed(sources, tmp_path / "more", part_bytes=1000, clips=clips)


def test_parts_are_not_mixed_with_older_ones(sources, tmp_path):
    packed(sources, tmp_path)
    with pytest.raises(ConfigError, match="holds parts already"):
        packed(sources, tmp_path)


def test_shards_are_packed_one_by_one_only(sources, tmp_path):
    first = packed(sources, tmp_path / "packs", num_parts=1, part_bytes=1 << 20)
    shards = tmp_path / "packs" / "part_00" / "speech"
    again = packed(shards / "audio.tar", tmp_path / "again", part_bytes=1 << 20)
    seconds = first["parts"]["part_00"]["seconds"]["speech"]
    assert again["parts"]["part_00"]["seconds"] == {"speech": seconds}
    with pytest.raises(ConfigError, match="one by one"):
        packed(shards / "*.tar", tmp_path / "pattern")


def test_too_small_parts_and_missing_ones_are_named(sources, tmp_path):
    with pytest.raises(DataError, match="--part-mib"):
        packed(sources, tmp_path, part_bytes=20_000)
    with pytest.raises(DataError, match="`pack`"):
        part_folders(tmp_path)


def test_what_has_not_arrived_or_is_damaged_is_named(sources, tmp_path):
    packed(sources, tmp_path)
    shutil.rmtree(tmp_path / "part_01" / "music")
    with open(tmp_path / "part_00" / "speech" / "audio.tar", "r+b") as shard:
        shard.seek(1000)
        shard.write(b"x")
    found = "; ".join(problems(tmp_path))
    assert found.count("has not arrived") == found.count("is damaged") == 1
    assert problems(tmp_path / "nowhere") == [
        f"{tmp_path / 'nowhere' / 'manifest.json'} is missing or damaged"
    ]


def test_unpacked_recordings_are_the_packed_ones_and_are_decoded_once(sources, tmp_path):
    packed(sources, tmp_path / "packs")
    parts = part_folders(tmp_path / "packs")
    count = unpack(parts, tmp_path / "wav", num_jobs=2)
    files = sorted((tmp_path / "wav").rglob("*.wav"))
    assert len(files) == count == sum(len(find_entries((part,))) for part in parts)
    lengths = {soundfile.info(path).frames for path in files}
    assert lengths <= {round(duration_s * 16000) for duration_s in SECONDS}
    soundfile.write(files[0], np.zeros(7), 16000)
    assert unpack(parts, tmp_path / "wav", num_jobs=1) == count
    assert soundfile.info(files[0]).frames == 7
