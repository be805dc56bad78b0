"""PyTorch files of strangers: refused with a sentence, before they take memory."""

import copy
import io
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from little_memory import little_memory
from semanticodec.checkpoints import torch_file
from semanticodec.checkpoints.official import read_checkpoint
from semanticodec.errors import CheckpointError

COUNT = 77  # numbers of the only tensor, and
CLAIM = 1 << 33  # those that it claims: 32 GB
MANY = b"\x8a\x05" + CLAIM.to_bytes(5, "little")  # as pickle writes the latter
FEW = b"K" + bytes([COUNT])  # and the former


def parts(tensor: torch.Tensor | None = None) -> dict[str, bytes]:
    """Return the parts of a file that `torch.save` wrote."""
    file = io.BytesIO()
    torch.save({"weight": torch.ones(COUNT) if tensor is None else tensor}, file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data, method)


def edit(path: Path, part: str, old: bytes, new: bytes) -> None:
    content = parts()
    (name,) = (name for name in content if name.endswith(part))
    assert old in content[name]
    write(path, {**content, name: content[name].replace(old, new)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "encoder.ckpt"


def refused(path: Path, reason: str) -> None:
    with (
        little_memory(),
        pytest.raises(CheckpointError, match=rf"encoder\.ckpt is .*{reason}.*; download it again"),
    ):
        read_checkpoint(path)


def test_parts_written_by_others_are_read(path: Path) -> None:
    write(path, parts())
    assert read_checkpoint(path)["weight"].tolist() == [1.0] * COUNT


def test_compressed_parts_are_refused(path: Path) -> None:
    write(path, parts(torch.zeros(1 << 18)), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 14
    refused(path, "it is compressed")


@pytest.mark.parametrize("size", [1 << 20, (1 << 32) - 2])
def test_parts_that_claim_more_than_there_is_are_refused(path: Path, size: int) -> None:
    write(path, parts())
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    data[entry + 20 : entry + 28] = 2 * size.to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "claim to be longer than the file")


def test_parts_that_lie_one_upon_the_other_are_refused(path: Path) -> None:
    write(path, {**parts(), "archive/data/1": bytes(8192)})
    with zipfile.ZipFile(path, "a") as archive:
        twin = copy.copy(archive.getinfo("archive/data/1"))
        twin.filename = "archive/data/2"
        archive.filelist.append(twin)
        archive.writestr("archive/data/3", b"")  # so that the list is written again
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("archive/data/2").header_offset == twin.header_offset
    refused(path, "claim to be longer than the file")


@pytest.mark.parametrize("other", ["archive/data.pkl", "archive/DATA.pkl"])
def test_two_parts_of_one_name_are_refused(path: Path, other: str) -> None:
    write(path, parts())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zipfile, which sees it, too
        with zipfile.ZipFile(path, "a") as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            archive.writestr(other.replace("archive", name.partition("/")[0]), b"")
    refused(path, "two of its parts have one name")


@pytest.mark.parametrize(
    ("old", "new"),
    [(FEW + b"t", MANY + b"t"), (FEW + b"\x85", MANY + b"\x85"), (FEW, MANY)],
    ids=["storage", "shape", "both"],
)
def test_tensors_that_claim_more_than_there_is_are_refused(
    path: Path, old: bytes, new: bytes
) -> None:
    edit(path, "data.pkl", old, new)
    if old == FEW + b"t":  # the shape is right, and nothing else counts
        assert read_checkpoint(path)["weight"].tolist() == [1.0] * COUNT
    else:
        refused(path, "")


def test_claims_in_the_old_layout_are_refused(path: Path) -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.ones(COUNT)}, file, _use_new_zipfile_serialization=False)
    data = file.getvalue()
    assert FEW in data
    path.write_bytes(data.replace(FEW, MANY))
    refused(path, "")


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_list_of_objects_without_end_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_archive: bool
) -> None:
    monkeypatch.setattr(torch_file, "LARGEST_LIST", 1 << 16)
    objects = b"\x80\x02" + b"]" * (1 << 17)  # 60 bytes of memory for each of these
    if is_archive:
        edit(path, "data.pkl", parts()["archive/data.pkl"], objects)
    else:
        path.write_bytes(objects)
    refused(path, "its list of tensors is longer than")


def test_a_text_of_any_length_is_refused(path: Path) -> None:
    path.write_bytes(b"\x80\x02X" + b"\xff\xff\xff\x7f" + b"x" * 99)  # claims 2 GiB
    refused(path, "")


def test_a_list_of_parts_that_is_cut_or_too_long_is_refused(path: Path) -> None:
    write(path, parts())
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    path.write_bytes(data[: start + 9] + data[end:])
    refused(path, "")
    tail = bytearray(data[end:])
    tail[12:16] = (1 << 31).to_bytes(4, "little")  # of 2 GiB
    path.write_bytes(data[:end] + tail)
    refused(path, "")
