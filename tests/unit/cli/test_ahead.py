"""Files encoded together give what each gives alone, and one broken file spoils no other."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from semanticodec import Codes, SemantiCodec
from semanticodec.cli.ahead import FILES_AT_ONCE, LARGEST_BYTES, Coded, decode_ahead, encode_ahead
from semanticodec.cli.inputs import expand
from semanticodec.cli.outputs import Task, plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES_AT_ONCE + 2):
        wav = 0.1 * np.random.default_rng(number).standard_normal(6000 + 900 * number)
        soundfile.write(tmp_path / f"{number:02}.wav", wav, 16_000)
    return tmp_path


def tasks_of(folder: Path) -> list[Task]:
    return plan(expand([str(folder)], (".wav",)), str(folder / "codes"), ".smtc")


def test_codes_are_those_of_each_file_alone(folder: Path, tiny_codec: SemantiCodec) -> None:
    tasks = tasks_of(folder)
    ahead = encode_ahead(tiny_codec, tasks)
    for task in tasks:
        codes, elapsed_s, *_ = ahead.take(task) or pytest.fail("not encoded together")
        alone = tiny_codec.encode(task.item.path)
        assert torch.equal(codes.semantic, alone.semantic)
        assert torch.equal(codes.acoustic, alone.acoustic)
        assert codes.num_samples == alone.num_samples and elapsed_s > 0


def test_a_broken_file_leaves_its_group_to_be_encoded_alone(
    folder: Path, tiny_codec: SemantiCodec
) -> None:
    (folder / "03.wav").write_bytes(b"no sound")
    tasks = tasks_of(folder)
    ahead = encode_ahead(tiny_codec, tasks)
    taken = [ahead.take(task) for task in tasks]
    assert [codes is None for codes in taken] == [True] * FILES_AT_ONCE + [False] * 2


def test_large_files_and_stdin_go_alone(folder: Path, tiny_codec: SemantiCodec) -> None:
    with (folder / "00.wav").open("ab") as file:
        file.truncate(LARGEST_BYTES + 1)
    large = tasks_of(folder)[0]
    (stdin,) = plan(expand(["-"], (".wav",)), None, ".smtc")
    ahead = encode_ahead(tiny_codec, [large, stdin])
    assert ahead.take(large) is None and ahead.take(stdin) is None


def test_sound_is_that_of_each_file_alone_but_for_rounding(
    folder: Path, tiny_codec: SemantiCodec
) -> None:
    for task in tasks_of(folder):
        tiny_codec.encode(task.item.path).save(folder / f"{task.item.relative.stem}.smtc")
    tasks = plan(expand([str(folder)], (".smtc",)), str(folder / "sounds"), ".wav")
    ahead = decode_ahead(
        tasks,
        lambda task: Coded(Codes.load(task.item.path), num_bytes=7),
        lambda batch: tiny_codec.decode(batch, num_steps=1, batch_size=4),
    )
    for task in tasks:
        done = ahead.take(task) or pytest.fail("not decoded together")
        alone = tiny_codec.decode(Codes.load(task.item.path), num_steps=1)[0]
        assert done.num_bytes == 7 and done.elapsed_s > 0
        torch.testing.assert_close(done.wav, alone, rtol=1e-4, atol=1e-5)
