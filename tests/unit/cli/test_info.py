"""`info` finds wrong what `decode` refuses, and nothing else."""

import json
import zlib
from dataclasses import asdict, replace

import pytest
import torch

from conftest import random_codec
from semanticodec import Codes
from semanticodec.checkpoints.pretrained import write_model
from semanticodec.cli import main
from semanticodec.decoder.sampling import SamplingConfig, SamplingPresets
from semanticodec.errors import SemantiCodecError


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """The bytes of a stream of three blocks."""
    codec = random_codec()
    wav = 0.1 * torch.randn(3 * 163_840 // 2, generator=torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("stream") / "a.smtc"
    codec.encode(wav).save(path)
    return path.read_bytes()


def told(capfd, path):
    """Return status, facts and error text of `info`."""
    capfd.readouterr()
    status = main(["info", str(path), "--json"])
    out, err = capfd.readouterr()
    return status, json.loads(out), err


def with_header(stream, place, value):
    """Return a stream with another byte in its header, whose checksum is right."""
    fields = bytearray(stream[:25])
    fields[place] = value
    return bytes(fields) + zlib.crc32(fields).to_bytes(4, "little") + stream[29:]


def broken_streams(stream):
    """Yield streams that were damaged in every way, by name."""
    yield "whole", stream
    yield "twice", stream + stream
    yield "a byte more", stream + b"\0"
    yield "empty", b""
    yield "header only", stream[:29]
    for length in (1, 20, 30, 40, len(stream) // 2, len(stream) - 1):
        yield f"first {length} bytes", stream[:length]
    for place in (0, 5, 12, 28, 29, 31, 60, len(stream) - 1):
        yield (
            f"byte {place} changed",
            stream[:place] + bytes([stream[place] ^ 1]) + stream[place + 1 :],
        )
    for place in range(25):
        yield f"header {place} changed", with_header(stream, place, stream[place] ^ 1)


def test_info_and_decode_agree(stream, tmp_path, capfd):
    refused = 0
    for name, data in broken_streams(stream):
        path = tmp_path / "a.smtc"
        path.write_bytes(data)
        try:
            Codes.load(path)
            expected = ""
        except SemantiCodecError as error:
            expected = str(error)
            refused += 1
        status, facts, err = told(capfd, path)
        assert status == (2 if expected else 0), name
        assert facts["file"] == str(path), name
        assert facts["status"] == ("failed" if expected else "done"), name
        assert ("error" in facts) == bool(expected) == bool(err), name
    assert 20 < refused < 45


def test_a_missing_file_and_a_damaged_one_have_their_objects(tmp_path, capfd):
    (tmp_path / "a.smtc").write_bytes(b"RIFF")
    for name, text in (("a.smtc", "not a .smtc stream"), ("missing.smtc", "does not exist")):
        status, facts, err = told(capfd, tmp_path / name)
        assert (status, facts["status"], facts["file"]) == (2, "failed", str(tmp_path / name))
        assert text in facts["error"] and text in err


def test_names_for_one_setting_are_told(tmp_path, capfd):
    codec = random_codec()
    standard = SamplingConfig(num_steps=2, eta=0.0)
    draft = replace(standard, num_steps=1, sampler="unipc")
    for presets, line in (
        (
            SamplingPresets(),
            "quality draft = standard = best: ddim, 2 steps, guidance scale 2, eta 0",
        ),
        (SamplingPresets(draft=draft), "quality standard = best: ddim, 2 steps"),
    ):
        decoder = replace(codec.config.decoder, sampling=standard, sampling_presets=presets)
        folder = write_model(
            tmp_path / "model", replace(codec.config, decoder=decoder), codec.state_dict()
        )
        capfd.readouterr()
        assert main(["info", str(folder)]) == 0
        assert line in capfd.readouterr().out
    status, facts, _ = told(capfd, folder)
    qualities = facts["settings"][0]["qualities"]
    assert (status, list(qualities)) == (0, ["draft", "standard", "best"])
    assert qualities["draft"] == {**asdict(draft), "guidance_interval": [0.0, 1.0]}


def test_a_model_that_cannot_be_read_is_refused_as_loading_refuses_it(tmp_path, capfd):
    folder = random_codec().save_pretrained(tmp_path / "model")
    index = json.loads((folder / "config.json").read_text())
    (setting,) = index["token_rates"].values()
    for changed, text in (
        ({**index, "format": 9}, "has format 9, this version reads 1"),
        ({**index, "token_rates": {}}, "lists the token rates none"),
        ({**index, "token_rates": {"100": {**setting, "weights": ["../x"]}}}, "is no plain .safe"),
        ({**index, "token_rates": {"100": {**setting, "weights": ["x.safetensors"]}}}, "missing"),
        ({**index, "token_rates": {"100": {"weights": []}}}, "does not describe a model"),
    ):
        (folder / "config.json").write_text(json.dumps(changed))
        status, facts, err = told(capfd, folder)
        assert (status, facts["model"], facts["status"]) == (2, str(folder), "failed")
        assert text in err and text in facts["error"]
