"""Files appear whole or not at all; pipes get every block as it comes."""

import io
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semanticodec.container import Block, Reader, Writer, read, read_header, write
from semanticodec.container.framing import block_size
from semanticodec.errors import ContainerError

from .streams import HEADER, random_blocks, stream

UNKNOWN = replace(HEADER, num_samples=None)
CODES = np.zeros(128, np.int64)


class Pipe(io.RawIOBase):
    """A sink that cannot seek and takes at most 7 bytes at a time."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.data += data[:7]
        return min(len(data), 7)


def test_path_holds_the_same_bytes_as_a_file_object(tmp_path: Path) -> None:
    data, blocks = stream()
    write(tmp_path / "a.smtc", HEADER, blocks)
    assert (tmp_path / "a.smtc").read_bytes() == data
    assert os.listdir(tmp_path) == ["a.smtc"]


def test_path_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.smtc"
    path.write_bytes(b"older")
    with Writer(path, UNKNOWN) as writer:
        writer.write_block(CODES, CODES)
        assert path.read_bytes() == b"older"
    assert read_header(path).num_samples == 163_840
    (tmp_path / "b.smtc").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "b.smtc").stat().st_mode


def test_exception_leaves_nothing_behind(tmp_path: Path) -> None:
    def blocks() -> Iterator[Block]:
        yield Block(CODES, CODES)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.smtc", UNKNOWN, blocks())
    assert not os.listdir(tmp_path)


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.smtc").symlink_to(tmp_path / "a.smtc")
    write(tmp_path / "link.smtc", UNKNOWN, [Block(CODES, CODES)])
    assert (tmp_path / "link.smtc").is_symlink()
    assert len(read(tmp_path / "a.smtc")[1]) == 128


def test_named_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    lengths: list[int] = []
    thread = threading.Thread(target=lambda: lengths.append(len(read(path)[1])), daemon=True)
    thread.start()
    write(path, UNKNOWN, [Block(CODES, CODES)])
    thread.join(10)
    assert path.is_fifo()
    assert lengths == [128]


def test_seekable_file_gets_its_length_at_close() -> None:
    file = io.BytesIO()
    file.write(b"before")
    writer = Writer(file, UNKNOWN)
    writer.write_block(CODES[:8], CODES[:8])
    writer.close(num_samples=5121)
    writer.close()
    assert file.tell() == len(file.getvalue())
    file.seek(len(b"before"))
    assert read(file)[0] == replace(HEADER, num_samples=5121)


def test_appended_file_keeps_its_unknown_length(tmp_path: Path) -> None:
    path = tmp_path / "a.smtc"
    with path.open("ab") as file:
        write(file, UNKNOWN, [Block(CODES, CODES)])
    assert read_header(path).num_samples is None
    assert read(path)[0].num_samples == 163_840


def test_pipe_gets_every_block_at_once_and_its_reader_derives_the_length() -> None:
    blocks = random_blocks(UNKNOWN, 300)
    pipe = Pipe()
    sizes = []
    with Writer(pipe, UNKNOWN) as writer:  # type: ignore[arg-type]
        for block in blocks:
            writer.write_block(block.semantic, block.acoustic)
            sizes.append(len(pipe.data))
    expected = np.cumsum([block_size(len(block), UNKNOWN) for block in blocks]) + UNKNOWN.size
    assert sizes == expected.tolist()
    header, semantic, _, is_concealed = read(bytes(pipe.data))
    assert header.num_samples == 300 * 1280
    assert not is_concealed.any()
    np.testing.assert_array_equal(semantic, np.concatenate([block.semantic for block in blocks]))


def test_reader_hands_out_a_block_before_the_next_is_written() -> None:
    source, sink = os.pipe()
    os.set_blocking(source, False)  # a block that is held back fails the test, not hangs it
    with os.fdopen(source, "rb") as incoming, os.fdopen(sink, "wb") as outgoing:
        writer = Writer(outgoing, UNKNOWN)
        blocks = iter(Reader(incoming))
        for seed in range(3):
            (block,) = random_blocks(UNKNOWN, 128, seed)
            writer.write_block(block.semantic, block.acoustic)
            np.testing.assert_array_equal(next(blocks).semantic, block.semantic)


@pytest.mark.parametrize(
    ("semantic", "acoustic", "text"),
    [
        (CODES, CODES[:4], "shape"),
        (CODES[None], CODES[None], "shape"),
        (CODES[:0], CODES[:0], "0 positions; a block holds 4 to 128"),
        (CODES[:6], CODES[:6], "6 positions.*multiple of 4"),
        (np.zeros(132, int), np.zeros(132, int), "132 positions"),
        (CODES.astype(float), CODES, "float64; give integers"),
        (CODES + 4096, CODES, "semantic codes from 4096 to 4096.*0 to 4095"),
        (CODES, CODES - 1, "acoustic codes from -1 to -1.*0 to 8191"),
        (CODES, CODES.astype(np.uint64) + 2**63, "acoustic codes from 9223372036854775808"),
    ],
)
def test_codes_that_do_not_fit_are_refused_and_nothing_is_written(
    semantic: np.ndarray, acoustic: np.ndarray, text: str
) -> None:
    file = io.BytesIO()
    writer = Writer(file, UNKNOWN)
    with pytest.raises(ContainerError, match=text):
        writer.write_block(semantic, acoustic)
    assert len(file.getvalue()) == UNKNOWN.size


def test_number_of_samples_must_fit_the_positions(tmp_path: Path) -> None:
    path = tmp_path / "a.smtc"
    block = Block(CODES, CODES)
    one_window = replace(HEADER, num_samples=163_840)
    with pytest.raises(ContainerError, match=r"256 positions.*163840 samples take 128"):
        write(path, one_window, [block, block])
    with pytest.raises(ContainerError, match="128 positions were written; 480001 samples take 376"):
        write(path, HEADER, [block])
    writer = Writer(path, UNKNOWN)
    writer.write_block(CODES, CODES)
    with pytest.raises(ContainerError, match="128 positions were written; 1 samples take 4"):
        writer.close(num_samples=1)
    with pytest.raises(ContainerError, match="no block"):
        write(path, UNKNOWN, [])
    assert not os.listdir(tmp_path)


def test_length_is_given_once() -> None:
    writer = Writer(io.BytesIO(), replace(HEADER, num_samples=163_840))
    writer.write_block(CODES, CODES)
    with pytest.raises(ContainerError, match="already says 163840"):
        writer.close(num_samples=163_839)
    with pytest.raises(ContainerError, match="closed"):
        writer.write_block(CODES, CODES)
