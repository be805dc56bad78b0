"""Model folders of strangers: refused with a sentence, and before they take memory."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from little_memory import ROOM, little_memory
from semanticodec import SemantiCodec
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.layers.uninitialized import Uninitialized

LARGE = 10 << 30


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    path = folder / "config.json"
    index = json.loads(path.read_text())
    change(index["token_rates"]["100"]["config"])
    path.write_text(json.dumps(index))


def claim(folder: Path, tensors: dict[str, Any], size: int = 0) -> None:
    """Write a weight file with this head, sparse up to `size` bytes of data."""
    head = json.dumps(tensors).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + size)


def tensor(start: int, end: int, dtype: str = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - start) // 2], "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("tensors", "size"),
    [
        ({"a": tensor(0, LARGE)}, 0),  # not there
        ({"a": tensor(0, 8), "b": tensor(4, 12)}, 12),  # overlapping
        ({"a": tensor(0, 8), "b": tensor(16, 24)}, 24),  # with a hole
        ({"a": {**tensor(0, 8), "shape": [2**62, 2**62]}}, 8),
        ({"a": {**tensor(0, 8), "dtype": "object"}}, 8),
    ],
)
def test_heads_that_lie_are_refused(folder: Path, tensors: dict, size: int) -> None:
    claim(folder, tensors, size)
    with little_memory(), pytest.raises(CheckpointError, match="not a readable safetensors file"):
        SemantiCodec.from_pretrained(folder)


def test_a_head_longer_than_the_file_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", LARGE) + b"{}")
    with little_memory(), pytest.raises(CheckpointError, match="not a readable safetensors file"):
        SemantiCodec.from_pretrained(folder)


def test_a_large_file_of_other_tensors_is_not_read(folder: Path) -> None:
    size = ROOM // 8  # mapped twice it fits; as float32 not at all
    claim(folder, {f"extra.{at}": tensor(at * size, (at + 1) * size) for at in range(3)}, 3 * size)
    with little_memory(), pytest.raises(CheckpointError, match="do not fit the configuration"):
        SemantiCodec.from_pretrained(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["decoder.vae.conv_in.bias"][0] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"NaN or infinite weights in decoder\.vae\.conv_in"):
        SemantiCodec.from_pretrained(folder)


def test_weights_of_another_type_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["decoder.vae.conv_in.bias"] = weights["decoder.vae.conv_in.bias"].to(torch.int32)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"wrong type of 1 tensors.*conv_in\.bias"):
        SemantiCodec.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["decoder"]["vocoder"].update({"class": "os.system"}), "the class 'os.system'"),
        (lambda c: c["decoder"]["vocoder"].update({"class": []}), r"the class \[\]"),
        (lambda c: c["decoder"]["vae"].update(base_channels=2**40), "."),
        (lambda c: c["encoder"]["audiomae"].update(depth=2**40), "far larger network"),
        (lambda c: c["encoder"]["acoustic"].update(num_layers=2**31), "far larger network"),
        (lambda c: c["encoder"]["audiomae"].update(num_mel_bins=2**24), "num_mel_bins is 16777216"),
        (lambda c: c["encoder"]["semantic"].update(vocab_sizes=[2**40]), "far larger network"),
        (lambda c: c["encoder"]["semantic"].update(vocab_sizes=[]), "no semantic vocabulary"),
        (lambda c: c["encoder"]["semantic"].update(vocab_sizes=["x"]), r"vocab_sizes\[0\] is 'x'"),
        (lambda c: c["encoder"]["audiomae"].update(num_heads=0), "cannot have 0 heads"),
        (lambda c: c["decoder"]["unet"].update(num_groups=0), "no codec that can be built"),
        (lambda c: c["decoder"]["schedule"].update(beta_end=float("nan")), "beta_end is nan"),
        (lambda c: c.update(token_rate=10**30), "a number of at most"),
        (lambda c: c.update(token_rate=50), "."),
    ],
)
def test_hostile_configurations_are_refused(
    folder: Path, change: Callable[[Any], object], message: str
) -> None:
    edit(folder, change)
    with little_memory(), pytest.raises((CheckpointError, ConfigError), match=message):
        SemantiCodec.from_pretrained(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800", "\0", "1" * 10_000])
def test_hostile_json_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(CheckpointError, match="is not valid JSON"):
        SemantiCodec.from_pretrained(folder)


def test_a_huge_config_file_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("rb+") as file:
        file.truncate(LARGE)
    with little_memory(), pytest.raises(CheckpointError, match="more than 16 MiB"):
        SemantiCodec.from_pretrained(folder)


def test_sizes_are_refused_before_they_are_taken() -> None:
    for make in (
        lambda: torch.zeros(2**40),
        lambda: torch.empty((2**20, 2**20)),
        lambda: torch.arange(2**40),
        lambda: [torch.nn.Linear(1, 1) for _ in range(10_000)],
    ):
        with (
            little_memory(),
            Uninitialized([(2, 3)]),
            pytest.raises(ConfigError, match="1 tensors"),
        ):
            make()
