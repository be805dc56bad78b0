"""What the probe finds of features that are known."""

import pytest
import torch

from semanticodec.cli import main
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.evaluation.features.representations import (
    Representations,
    audiomae_representations,
)
from tiny_modules import export_audiomae, write_audio


def test_representations_are_those_of_the_forward_pass():
    torch.manual_seed(0)
    audiomae = AudioMAE(AudioMAE.Config(width=16, depth=3, num_heads=2)).eval()
    fbank = torch.randn(1, 32, 128)
    with torch.no_grad():
        found = audiomae_representations(audiomae, fbank)
        assert torch.equal(found["features"], audiomae(fbank)[0])
    assert list(found) == ["embedding", "block 1", "block 2", "block 3", "features", "beside"]
    assert found["beside"].shape == (16, 32)
    assert not any(block._forward_hooks for block in audiomae.blocks)


def test_an_embedding_that_copies_pixels_keeps_them(tmp_path, capsys):
    audio = write_audio(tmp_path / "audio", seconds=(3.0, 4.0), domains=("speech",))
    export = export_audiomae(tmp_path / "export")
    command = ["evaluate", "features", "--audiomae", str(export), "--fit", str(audio)]
    assert main([*command, "--test", str(audio), "-o", str(tmp_path / "found.json")]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("| R² | energies | detail | band 0 |")
    assert [line.split(" | ")[0] for line in table[2:]] == [
        f"| {name}" for name in ("embedding", "block 1", "block 2", "block 3", "features", "beside")
    ]
    assert (tmp_path / "found.json").is_file()


@pytest.mark.parametrize("token_rate", [100, pytest.param(25, marks=pytest.mark.slow)])
def test_codes_of_the_built_in_model_keep_less_than_its_features(token_rate, tmp_path):
    from semanticodec.evaluation.features.run import FeatureSettings, evaluate_features
    from semanticodec.evaluation.suites import open_suite

    suite = open_suite(write_audio(tmp_path, seconds=(2.0, 3.0), domains=("speech",)))
    representations = Representations.of_model(None, token_rate)
    results = evaluate_features(
        representations, fit=suite, test=suite, settings=FeatureSettings(loud_only=True)
    )
    kept = {name: scores["energies"]["all"] for name, scores in results["features"].items()}
    assert kept["codes"] < kept["unquantized"] <= 1.0
    assert len(results["features"]["codes"]["detail"]["bands"]) == 8
