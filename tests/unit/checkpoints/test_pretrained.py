"""Model folders: round trip, strictness, and files that are not what they claim."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import random_codec
from semanticodec import SemantiCodec
from semanticodec.checkpoints.fingerprint import fingerprint
from semanticodec.checkpoints.pretrained import write_models
from semanticodec.errors import CheckpointError, ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_codec().save_pretrained(tmp_path / "model")


def test_saved_model_is_the_same_model(folder: Path) -> None:
    loaded, original = SemantiCodec.from_pretrained(folder), random_codec()
    assert loaded.config == original.config
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert loaded.model_fingerprint == fingerprint(original.state_dict())
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(("rates", "named"), [([], "none"), (["fast"], "'fast'")])
def test_token_rates_are_numbers(folder: Path, rates: list[str], named: str) -> None:
    index = json.loads((folder / "config.json").read_text())
    setting = index["token_rates"]["100"]
    index["token_rates"] = dict.fromkeys(rates, setting)
    (folder / "config.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=f"lists the token rates {named}; they are to be"):
        SemantiCodec.from_pretrained(folder)


def test_fingerprint_names_the_encoder_s_weights() -> None:
    state = random_codec().state_dict()
    before = fingerprint(state)
    state["decoder.vae.conv_in.bias"] += 1.0
    assert fingerprint(state) == before
    state["encoder.acoustic.project.weight"] += 1.0
    assert fingerprint(state) != before


def test_half_precision_halves_the_file(folder: Path, tmp_path: Path) -> None:
    half = random_codec().save_pretrained(tmp_path / "half", dtype=torch.float16)
    sizes = [(path / "model.safetensors").stat().st_size for path in (folder, half)]
    assert sizes[1] < 0.65 * sizes[0]
    loaded, original = SemantiCodec.from_pretrained(half), random_codec()
    assert loaded.decoder.unet.input_conv.weight.dtype == torch.float32
    # What float16 cannot hold is stored in full.
    for name in ("decoder.schedule.alphas_cumprod", "encoder.quantizer.cluster_size"):
        assert torch.equal(loaded.state_dict()[name], original.state_dict()[name])


def test_rates_may_share_a_weight_file(tmp_path: Path) -> None:
    codecs = [random_codec(token_rate) for token_rate in (100, 50)]
    whole = codecs[0].state_dict()
    shared = {name: weight for name, weight in whole.items() if name.startswith("decoder.vocoder.")}
    settings = []
    for codec in codecs:
        own = {name: weight for name, weight in codec.state_dict().items() if name not in shared}
        settings.append((codec.config, {"shared": shared, f"rate_{codec.token_rate}": own}))
    write_models(tmp_path, settings, dtype=torch.float16)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("config.json", "shared.safetensors", "rate_100.safetensors", "rate_50.safetensors")
    }
    for codec in codecs:
        loaded = SemantiCodec.from_pretrained(tmp_path, token_rate=codec.token_rate).state_dict()
        for name, weight in codec.state_dict().items():
            expected = whole[name] if name in shared else weight
            torch.testing.assert_close(loaded[name], expected, rtol=1e-3, atol=1e-4)
    assert SemantiCodec.from_pretrained(tmp_path).token_rate == 100


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_wrong_token_rate_names_those_on_offer(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no 50 tokens per second; it offers 100"):
        SemantiCodec.from_pretrained(folder, token_rate=50)
    with pytest.raises(ConfigError, match="semantic_vocab_size is 4096; this model offers 128"):
        SemantiCodec.from_pretrained(folder, semantic_vocab_size=4096)


def test_missing_and_unknown_tensors_are_named(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "encoder.extra": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"unknown 1 tensors, first encoder\.extra"):
        SemantiCodec.from_pretrained(folder)
    del weights["decoder.latent_scale"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing 1 tensors, first decoder\.latent_scale"):
        SemantiCodec.from_pretrained(folder)


class Attack:
    def __reduce__(self) -> tuple:
        return exec, ("raise SystemExit('code from a weight file ran')",)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Attack())])
def test_damaged_or_pickled_weights_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        SemantiCodec.from_pretrained(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        SemantiCodec.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"token_rates": []}, "no token_rates"),
        ({"token_rates": {"100": {"config": {}, "weights": ["../secret"]}}}, "'../secret'"),
        ({"token_rates": {"100": {"config": {"size": 1}, "weights": []}}}, "unknown settings"),
        ({"token_rates": {"100": {"config": None, "weights": []}}}, "NoneType"),
        ({"token_rates": {"100": {"config": {"token_rate": "x"}, "weights": []}}}, "type int"),
    ],
)
def test_wrong_configuration_is_explained(folder: Path, changes: dict, message: str) -> None:
    edit_config(folder, **changes)
    with pytest.raises((CheckpointError, ConfigError), match=message):
        SemantiCodec.from_pretrained(folder)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        SemantiCodec.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="is no model folder"):
        SemantiCodec.from_pretrained(tmp_path / "nothing" / "here")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        SemantiCodec.from_pretrained(tmp_path)
