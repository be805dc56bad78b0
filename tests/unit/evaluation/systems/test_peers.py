"""EnCodec and DAC through transformers, with tiny random weights: lengths, bits and refusals."""

import json
import shutil
import sys

import numpy as np
import pytest

from semanticodec.errors import CheckpointError, ConfigError, MissingDependencyError
from semanticodec.evaluation.systems import open_system

transformers = pytest.importorskip("transformers", reason="needs semanticodec[peers]")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Model folders as the Hub has them, with the real rates and strides."""
    root = tmp_path_factory.mktemp("peers")
    transformers.set_seed(0)
    encodec = transformers.EncodecConfig(
        num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, num_lstm_layers=1
    )
    transformers.EncodecModel(encodec).save_pretrained(root / "encodec")
    dac = transformers.DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=32,
        hidden_size=16,
        n_codebooks=3,
        codebook_size=1024,
        codebook_dim=4,
        downsampling_ratios=[2, 4, 5, 8],
        upsampling_ratios=[8, 5, 4, 2],
    )
    transformers.DacModel(dac).save_pretrained(root / "dac")
    return {"encodec": root / "encodec", "dac": root / "dac"}


@pytest.fixture
def altered(folders, tmp_path):
    """Return a copy of a model folder with other configuration values."""

    def make(kind, **changes):
        folder = shutil.copytree(folders[kind], tmp_path / kind)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        return folder

    return make


@pytest.mark.parametrize("num_samples", [400, 16_000, 16_001])
@pytest.mark.parametrize(
    ("kind", "setting", "num_books", "bits_per_code", "frames_per_s"),
    [
        # 16 entries at 75 frames take 0.3 kbps a codebook.
        ("encodec", "1.5", 5, 4, 75),
        ("encodec", "3", 10, 4, 75),
        ("dac", None, 3, 10, 50),
        ("dac", "2", 2, 10, 50),
    ],
)
def test_lengths_are_exact_and_all_codes_count(
    kind, setting, num_books, bits_per_code, frames_per_s, num_samples, folders, clip, noise
):
    key = {"encodec": "kbps", "dac": "books"}[kind]
    at = "" if setting is None else f"{key}={setting},"
    system = open_system(f"{kind}:{at}path={folders[kind]}")
    wav = noise(num_samples)
    made = system.reconstruct(wav, clip)
    num_frames = -(-num_samples * frames_per_s // 16_000)
    assert made.num_bits == num_frames * num_books * bits_per_code
    assert made.wav.shape == wav.shape and made.wav.dtype == np.float32 and made.wav.std() > 0
    assert np.array_equal(made.wav, system.reconstruct(wav, clip).wav)
    assert system.name == f"{kind}:{at}path={kind}" and system.details["model"] == kind
    assert list(system.details["weights_sha256"]) == ["model.safetensors"]


def test_a_repeated_opening_gives_the_same(folders, clip, noise):
    wavs = [
        open_system(f"dac:path={folders['dac']}").reconstruct(noise(5000), clip).wav
        for _ in range(2)
    ]
    assert np.array_equal(*wavs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("encodec:kbps=2,path={encodec}", "no 2 kbps; choose from 1.5, 3.0, 6.0, 12.0, 24.0"),
        ("encodec:kbps=x,path={encodec}", "kbps is 'x'; give a number"),
        ("dac:books=4,path={dac}", "books is '4'; give a whole number from 1 to 3"),
        ("dac:books=0,path={dac}", "books is '0'"),
    ],
)
def test_settings_are_those_of_the_model(spec, message, folders):
    with pytest.raises(ConfigError, match=message):
        open_system(spec.format(**folders))


def test_another_model_is_refused(folders, altered):
    with pytest.raises(CheckpointError, match="holds a model of type dac; encodec is needed"):
        open_system(f"encodec:kbps=3,path={folders['dac']}")
    with pytest.raises(ConfigError, match="takes 2 channels; give a model of one"):
        open_system(f"encodec:kbps=3,path={altered('encodec', audio_channels=2)}")


def test_weights_must_be_complete(altered, tmp_path):
    folder = altered("dac", n_codebooks=4)
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors, first quantizer\.quantizers\.3"):
        open_system(f"dac:path={folder}")
    (folder / "model.safetensors").write_bytes(b"junk" * 10)
    with pytest.raises(CheckpointError, match=r"cannot be loaded \(.*header.*path=FOLDER"):
        open_system(f"dac:path={folder}")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"cannot be loaded .*model\.safetensors"):
        open_system(f"dac:path={folder}")
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"cannot be loaded .*not a valid JSON"):
        open_system(f"dac:path={folder}")


def test_without_a_folder_the_hub_is_asked(monkeypatch):
    asked = []

    def unreachable(source, **options):
        asked.append((source, options["local_files_only"]))
        raise OSError("We couldn't connect\nand more")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unreachable)
    for spec in ("encodec:kbps=6", "dac:books=2"):
        with pytest.raises(CheckpointError, match=r"\(We couldn.t connect\); give.*online"):
            open_system(spec)
    assert asked == [("facebook/encodec_24khz", False), ("descript/dac_16khz", False)]


def test_missing_transformers_names_the_extra(monkeypatch, folders):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"'dac' needs transformers; pip install 'se"):
        open_system(f"dac:path={folders['dac']}")
