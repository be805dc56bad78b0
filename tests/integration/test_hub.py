"""Publishing and loading through the Hub's own client, against a hub on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load

from fake_hub import TOKEN, fake_hub
from semanticodec import SemantiCodec
from semanticodec.errors import CheckpointError

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="module")
def hub():
    with fake_hub() as running:
        yield running


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    """The Hub's client in this process, pointed at the hub of the test and an empty cache."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return huggingface_hub


@pytest.mark.usefixtures("client")
def test_what_is_pushed_is_what_others_load(hub, quick_codec, tmp_path):
    address = quick_codec.push_to_hub("someone/own", token=TOKEN, commit_message="First")
    assert address.startswith(f"{hub.url}/someone/own/commit/")
    files = hub.files("someone/own")
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
    assert b'SemantiCodec.from_pretrained("someone/own")' in files["README.md"]
    # A cache folder of one's own; then it alone is enough.
    for settings in ({}, {"local_files_only": True}):
        loaded = SemantiCodec.from_pretrained(
            "someone/own", cache_dir=tmp_path / "own-cache", **settings
        )
        assert loaded.model_fingerprint == quick_codec.model_fingerprint
    with pytest.raises(CheckpointError, match="not in the Hub cache"):
        SemantiCodec.from_pretrained("someone/own", local_files_only=True)


@pytest.mark.usefixtures("client")
def test_a_branch_and_a_precision_can_be_chosen_and_a_card_stays(hub, quick_codec):
    quick_codec.push_to_hub("someone/branches", token=TOKEN)
    hub.commit("someone/branches", "main", {"README.md": b"mine"})
    quick_codec.push_to_hub("someone/branches", token=TOKEN, revision="half", dtype=torch.float16)
    halved, whole = hub.files("someone/branches", "half"), hub.files("someone/branches")
    name = "decoder.vae.conv_in.bias"
    assert load(halved["model.safetensors"])[name].dtype == torch.float16
    assert load(whole["model.safetensors"])[name].dtype == torch.float32
    assert halved["README.md"] == b"mine"
    SemantiCodec.from_pretrained("someone/branches", revision="half")


@pytest.mark.usefixtures("client")
def test_a_private_model_needs_the_token(hub, quick_codec):
    quick_codec.push_to_hub("someone/private", token=TOKEN, private=True)
    assert hub.private == {"someone/private"}
    with pytest.raises(CheckpointError, match="check the names and your access"):
        SemantiCodec.from_pretrained("someone/private", token=False)
    SemantiCodec.from_pretrained("someone/private", token=TOKEN)


@pytest.mark.usefixtures("client")
def test_what_is_not_there_is_named(quick_codec):
    quick_codec.push_to_hub("someone/known", token=TOKEN)
    with pytest.raises(CheckpointError, match=r"repository someone/unknown \(revision main\)"):
        SemantiCodec.from_pretrained("someone/unknown")
    with pytest.raises(CheckpointError, match=r"repository someone/known \(revision v9\)"):
        SemantiCodec.from_pretrained("someone/known", revision="v9")


@pytest.mark.usefixtures("client")
def test_a_refused_upload_says_what_to_do(quick_codec):
    with pytest.raises(CheckpointError, match=r"uploaded to someone/own .*your token"):
        quick_codec.push_to_hub("someone/own", token="hf_wrong")


LOAD = """
import sys, torch
from transformers import AutoFeatureExtractor, AutoModelForAudioTokenization

extractor = AutoFeatureExtractor.from_pretrained("someone/codec", trust_remote_code=True)
model = AutoModelForAudioTokenization.from_pretrained("someone/codec", trust_remote_code=True)
assert "semanticodec.hf" not in sys.modules
assert type(model).__module__.startswith("transformers_modules.")
wav = torch.linspace(-0.5, 0.5, 3000)
inputs = extractor(wav, sampling_rate=16_000, return_tensors="pt")
print(model.encode(**inputs).audio_codes.tolist())
"""


@pytest.mark.usefixtures("client")
def test_a_model_of_transformers_loads_as_remote_code(hub, quick_codec, tmp_path):
    pytest.importorskip("transformers")
    from semanticodec.hf import SemantiCodecFeatureExtractor, SemantiCodecModel

    model = SemantiCodecModel.from_codec(quick_codec)
    model.push_to_hub("someone/codec", token=TOKEN, private=True)
    SemantiCodecFeatureExtractor(hop_length=model.config.hop_length).save_pretrained(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    hub.commit("someone/codec", "main", written)
    card = hub.files("someone/codec")["README.md"]
    assert b'from_pretrained("someone/codec", trust_remote_code=True)' in card

    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
    finished = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**os.environ, **environment, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    expected = quick_codec.encode(torch.linspace(-0.5, 0.5, 3000)).stacked().tolist()
    assert finished.stdout.strip() == str(expected)
