"""Laws of volumes: together they are one tar, none is too large, what matters comes first."""

import io
import tarfile

import pytest

from experiments.accelerator.volumes import write_volume
from semanticodec.errors import ConfigError

FILES = {
    "journal.json": 300,
    "audiomae/scalars.jsonl": 2000,
    "audiomae/checkpoints/step_1/weights.safetensors": 9000,
    "audiomae/export/model.safetensors": 3000,
    "codec/export/config.json": 10,
    "decoder/export/config.json": 100,
    "decoder/export/audiomae.safetensors": 5000,
    "decoder/export/decoder.safetensors": 7000,
}


@pytest.fixture
def finished(tmp_path):
    for name, size in FILES.items():
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number % 251 for number in range(size)))
    return tmp_path / "run"


def volume(run, out, number):
    return write_volume(run, out, number=number, volume_bytes=5000, slice_bytes=2048)


def test_volumes_together_are_the_results(finished, tmp_path):
    count = volume(finished, tmp_path / "0", 0).count
    slices = []
    for number in range(count):
        found = volume(finished, tmp_path / str(number), number)
        sizes = [path.stat().st_size for path in found.files]
        assert max(sizes) <= 2048 and sum(sizes) <= 5000
        slices += found.files
    assert [path.name for path in slices] == [f"results.tar.{n:03d}" for n in range(len(slices))]
    content = b"".join(path.read_bytes() for path in slices)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        for name in names:
            stream = archive.extractfile(name)
            assert stream is not None and stream.read() == (finished / name).read_bytes()
    # Reports, then the model; no checkpoints, and no modules that the model holds.
    assert names == [
        "journal.json",
        "audiomae/scalars.jsonl",
        "decoder/export/config.json",
        "decoder/export/audiomae.safetensors",
        "decoder/export/decoder.safetensors",
    ]


def test_without_a_model_the_modules_come_back(finished, tmp_path):
    (finished / "codec/export/config.json").unlink()
    (finished / "decoder/export/config.json").unlink()
    slices = write_volume(
        finished, tmp_path / "out", number=0, volume_bytes=1 << 20, slice_bytes=1 << 20
    ).files
    with tarfile.open(slices[0]) as archive:
        assert archive.getnames()[-1] == "audiomae/export/model.safetensors"


def test_what_cannot_be_written_is_said(finished, tmp_path):
    with pytest.raises(ConfigError, match="choose one of 0 to 4"):
        volume(finished, tmp_path, 5)
    with pytest.raises(ConfigError, match="no room"):
        write_volume(finished, tmp_path, number=0, volume_bytes=10, slice_bytes=20)
    with pytest.raises(ConfigError, match=r"holds no journal.json"):
        volume(tmp_path / "nowhere", tmp_path, 0)
