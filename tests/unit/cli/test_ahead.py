"""Files encoded together give what each gives alone, and one broken file spoils no other."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from semanticodec import SemantiCodec
from semanticodec.cli.ahead import FILES_AT_ONCE, LARGEST_BYTES, EncodeAhead
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
    ahead = EncodeAhead(tiny_codec, tasks)
    for task in tasks:
        codes, elapsed_s = ahead.take(task) or pytest.fail("not encoded together")
        alone = tiny_codec.encode(task.item.path)
        assert torch.equal(codes.semantic, alone.semantic)
        assert torch.equal(codes.acoustic, alone.acoustic)
        assert codes.num_samples == alone.num_samples and elapsed_s > 0


def test_a_broken_file_leaves_its_group_to_be_encoded_alone(
    folder: Path, tiny_codec: SemantiCodec
) -> None:
    (folder / "03.wav").write_bytes(b"no sound")
    tasks = tasks_of(folder)
    ahead = EncodeAhead(tiny_codec, tasks)
    taken = [ahead.take(task) for task in tasks]
    assert [codes is None for codes in taken] == [True] * FILES_AT_ONCE + [False] * 2


def test_large_files_and_stdin_go_alone(folder: Path, tiny_codec: SemantiCodec) -> None:
    with (folder / "00.wav").open("ab") as file:
        file.truncate(LARGEST_BYTES + 1)
    large = tasks_of(folder)[0]
    (stdin,) = plan(expand(["-"], (".wav",)), None, ".smtc")
    ahead = EncodeAhead(tiny_codec, [large, stdin])
    assert ahead.take(large) is None and ahead.take(stdin) is None
