"""Official files: every key accounted for, and one clear error for everything that is not right.

The tensors here are views of a single zero, so that files with all 2913 keys stay small.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from golden_weights import manifest
from semanticodec import SemantiCodec
from semanticodec.checkpoints.official import (
    convert_decoder,
    convert_encoder,
    load_official,
    load_vae_encoder,
    official_config,
    read_checkpoint,
    read_codebook,
)
from semanticodec.checkpoints.official_names import decoder_names, encoder_names
from semanticodec.errors import CheckpointError, ConfigError

LSTM_LAYERS = {100: 4, 50: 3, 25: 2}
OUTPUT = "encoder_output_linear.weight"
CONVERT = {"encoder": convert_encoder, "decoder": convert_decoder}


def blank(file: str, token_rate: int = 100) -> dict[str, Tensor]:
    """Return all tensors of an official file, of the right shapes and types but empty."""
    state = {
        key: torch.zeros((), dtype=getattr(torch, dtype)).expand(shape)
        for key, (dtype, shape) in manifest(token_rate)[file].items()
    }
    if file == "decoder":
        state["scale_factor"] = torch.tensor(0.5)
        state["alphas_cumprod"] = torch.linspace(0.9, 0.1, 1000)
    return state


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def write_setting(folder: Path, token_rate: int = 100, vocab_size: int = 64) -> dict[str, Path]:
    codebook = folder / "codebook.npy"
    np.save(codebook, np.ones((vocab_size, 76800 // token_rate), np.float32))
    return {
        "encoder": write(folder / "encoder.ckpt", blank("encoder", token_rate)),
        "decoder": write(folder / "decoder.ckpt", blank("decoder", token_rate)),
        "codebook": codebook,
    }


@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_the_table_knows_every_key_once(token_rate: int) -> None:
    tables = {"encoder": encoder_names(LSTM_LAYERS[token_rate]), "decoder": decoder_names()}
    for file, names in tables.items():
        assert set(names) == set(manifest(token_rate)[file])
        assert len(set(names.values())) == len(names)


@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_the_used_tensors_are_exactly_the_codecs(token_rate: int) -> None:
    state = convert_encoder(blank("encoder", token_rate), token_rate)
    state |= convert_decoder(blank("decoder", token_rate), token_rate)
    with torch.device("meta"):
        codec = SemantiCodec(official_config(token_rate, 64))
    own = codec.state_dict()
    assert set(own) - set(state) == {"encoder.semantic.codebook_64"}
    assert set(state) <= set(own)
    assert all(state[key].shape == own[key].shape for key in state)


def test_no_element_is_lost() -> None:
    """The sums of the elements per module, as counted from the official modules."""
    state = convert_encoder(blank("encoder"), 100) | convert_decoder(blank("decoder"), 100)

    def count(*prefixes: str) -> int:
        return sum(value.numel() for key, value in state.items() if key.startswith(prefixes))

    assert count("encoder.audiomae.") == 85_648_128
    assert count("encoder.acoustic.lstm.") == 207_716_352
    assert count("encoder.acoustic.project.") == 2_359_296
    assert count("encoder.quantizer.") == 12_591_105
    assert count("decoder.unet.") == 75_040_584
    assert count("decoder.vae.") == 32_981_577
    assert count("decoder.vocoder.") == 55_264_897


def test_the_raw_unet_is_used_and_not_its_average() -> None:
    state = blank("decoder")
    state["model.diffusion_model.out.2.bias"] = torch.full((8,), 1.0)
    state["model_ema.diffusion_modelout2bias"] = torch.full((8,), 2.0)
    converted = convert_decoder(state, 100)
    assert converted["decoder.unet.output_conv.bias"].tolist() == [1.0] * 8
    del state["model_ema.diffusion_modelout2bias"]
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors, first model_ema\.\w+out2bias"):
        convert_decoder(state, 100)


def test_schedule_and_latent_scale_come_from_the_file() -> None:
    converted = convert_decoder(blank("decoder"), 100)
    assert float(converted["decoder.latent_scale"]) == 0.5
    schedule = converted["decoder.schedule.alphas_cumprod"]
    assert torch.equal(schedule, torch.linspace(0.9, 0.1, 1000))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_latent_scale_is_refused(scale: float) -> None:
    with pytest.raises(CheckpointError, match="scale_factor"):
        convert_decoder(blank("decoder") | {"scale_factor": torch.tensor(scale)}, 100)


def test_missing_keys_are_counted_and_the_first_are_named() -> None:
    state = blank("encoder")
    for key in [key for key in state if ".blocks.3." in key]:
        del state[key]
    with pytest.raises(
        CheckpointError, match=r"lacks 12 tensors, first audiomae\.model\.blocks\.3"
    ):
        convert_encoder(state, 100)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"unknown 1 tensors, first surprise\.weight"):
        convert_encoder(blank("encoder") | {"surprise.weight": torch.zeros(1)}, 100)


@pytest.mark.parametrize("file", ["encoder", "decoder"])
def test_every_single_key_counts(file: str) -> None:
    """A sample of keys, unused ones among them: each absence and each misshapen tensor is seen."""
    state = blank(file)
    for key in list(state)[:: len(state) // 12]:
        rest = {other: value for other, value in state.items() if other != key}
        with pytest.raises(CheckpointError, match="lacks 1 tensors"):
            CONVERT[file](rest, 100)
        if key != "scale_factor":
            with pytest.raises(CheckpointError, match=r"wrong shape of 1 tensors.*\[3, 5\]"):
                CONVERT[file](rest | {key: torch.zeros(3, 5)}, 100)


def test_a_wrong_type_is_refused() -> None:
    state = blank("encoder")
    state[OUTPUT] = state[OUTPUT].half()
    with pytest.raises(CheckpointError, match=r"float16 instead of torch\.float32"):
        convert_encoder(state, 100)


@pytest.mark.parametrize("file", ["encoder", "decoder"])
def test_another_rates_file_is_named_as_such(file: str) -> None:
    with pytest.raises(CheckpointError, match="is for 50 tokens per second, not 100"):
        CONVERT[file](blank(file, 50), 100)


@pytest.mark.parametrize(("file", "other"), [("encoder", "decoder"), ("decoder", "encoder")])
def test_swapped_files_are_named_as_such(file: str, other: str) -> None:
    with pytest.raises(CheckpointError, match=f"is a {other} checkpoint, given as the {file}"):
        CONVERT[file](blank(other), 100)


@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_three_files_make_a_codec(tmp_path: Path, token_rate: int) -> None:
    files = write_setting(tmp_path, token_rate)
    config, state = load_official(**files, token_rate=token_rate)
    assert config.encoder.semantic.vocab_sizes == (64,)
    assert config.encoder.acoustic.num_layers == LSTM_LAYERS[token_rate]
    assert state["encoder.semantic.codebook_64"].shape == (64, 76800 // token_rate)
    codec = SemantiCodec.from_official(**files, token_rate=token_rate)
    assert codec.token_rate == token_rate
    assert codec.semantic_vocab_size == 64
    assert codec.acoustic_vocab_size == 8192


def test_the_vae_encoder_is_there_for_training(tmp_path: Path) -> None:
    state = blank("decoder")
    state["first_stage_model.quant_conv.bias"] = torch.arange(16.0)
    vae_encoder = load_vae_encoder(write(tmp_path / "decoder.ckpt", state), 100)
    mean, log_variance = vae_encoder(torch.zeros(1, 16, 64))
    assert mean[0, :, 0, 0].tolist() == list(range(8))
    assert log_variance[0, :, 0, 0].tolist() == list(range(8, 16))


def test_an_unknown_rate_is_refused_before_any_file_is_read() -> None:
    with pytest.raises(ConfigError, match="choose one of"):
        load_official("missing", "missing", "missing", token_rate=75)


def test_a_wrapped_state_dict_and_the_old_layout_are_read(tmp_path: Path) -> None:
    state = collections.OrderedDict(weight=torch.nn.Parameter(torch.ones(2)))
    wrapped = read_checkpoint(write(tmp_path / "wrapped.ckpt", {"state_dict": state, "epoch": 3}))
    old = tmp_path / "old.ckpt"
    torch.save(dict(state), old, _use_new_zipfile_serialization=False)
    for content in (wrapped, read_checkpoint(old)):
        assert content["weight"].tolist() == [1.0, 1.0]
        assert not content["weight"].requires_grad


class Evil:
    """Runs on loading, in a reader that lets it."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("evil-was-here"),))


@pytest.mark.parametrize("layout", ["zip", "old", "bare pickle", "wrapped"])
def test_code_in_a_file_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "encoder.ckpt"
    if layout == "bare pickle":
        path.write_bytes(pickle.dumps({"weight": Evil()}))
    elif layout == "wrapped":
        torch.save({"state_dict": {}, "callbacks": Evil()}, path)
    else:
        torch.save({"weight": Evil()}, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(CheckpointError, match=r"other than tensors.*can run code"):
        read_checkpoint(path)
    assert not Path("evil-was-here").exists()


def test_a_truncated_file_is_called_incomplete(tmp_path: Path) -> None:
    whole = write(tmp_path / "decoder.ckpt", blank("decoder"))
    data = whole.read_bytes()
    for length in (5, 100, len(data) // 2, len(data) - 1):
        whole.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"incomplete|damaged"):
            read_checkpoint(whole)


@pytest.mark.parametrize(
    "data",
    [b"", b"not a checkpoint", b"{}", b"\x80", b"\x80\x02}q\x00.", b"\x80\x04\x95" + bytes(99)],
)
def test_what_is_no_checkpoint_is_one_clear_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "encoder.ckpt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"encoder\.ckpt"):
        read_checkpoint(path)


def test_a_zip_of_something_else_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "encoder.ckpt"
    with path.open("wb") as stream:
        np.savez(stream, weight=np.ones(3))
    with pytest.raises(CheckpointError, match="damaged or no PyTorch checkpoint"):
        read_checkpoint(path)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(tmp_path / "nowhere.ckpt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_codebook(tmp_path, 100)


@pytest.mark.parametrize(
    "content", [torch.ones(3), {"epoch": 3}, {}, {3: torch.ones(1)}, {"a": [torch.ones(1)]}]
)
def test_what_is_not_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match=r"named tensors|no plain tensors"):
        read_checkpoint(write(tmp_path / "encoder.ckpt", content))


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "encoder.ckpt", {"weight": torch.eye(3).to_sparse()})
    with pytest.raises(CheckpointError, match="no plain tensors, first weight"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((64, 768)), "float64"),
        (np.zeros(768, np.float32), r"shape \(768,\)"),
        (np.zeros((64, 1536), np.float32), r"rows of 1536.*belongs to token_rate 50"),
        (np.zeros((65, 768), np.float32), "65 rows.*power of two"),
        (np.zeros((0, 768), np.float32), "0 rows"),
        (np.array([{"a": 1}], dtype=object), "damaged or no plain .npy"),
    ],
)
def test_a_codebook_of_another_kind_is_refused(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    path = tmp_path / "codebook.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(CheckpointError, match=message):
        read_codebook(path, 100)


def test_code_in_a_codebook_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "codebook.npy"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match=r"no plain \.npy array"):
        read_codebook(path, 100)
    assert not Path("evil-was-here").exists()


def test_a_damaged_codebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codebook.npy"
    np.save(path, np.ones((64, 768), np.float32))
    data = path.read_bytes()
    for content in (data[:-1], data[:40], b"text", b""):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"codebook\.npy"):
            read_codebook(path, 100)


def test_the_layout_of_an_array_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "codebook.npy"
    values = np.arange(64 * 768, dtype=np.float32).reshape(64, 768)
    np.save(path, np.asfortranarray(values))
    codebook = read_codebook(path, 100)
    assert codebook.is_contiguous()
    assert np.array_equal(codebook.numpy(), values)
