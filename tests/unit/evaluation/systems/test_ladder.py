"""The rungs below the codec: the true mel through the vocoder, and through the VAE before."""

import dataclasses

import numpy as np
import pytest
import torch

from semanticodec import SemantiCodec
from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.trained_module import export_trained
from semanticodec.decoder.vae import VAE, PatchAnalysis
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.evaluation.systems import open_system
from semanticodec.evaluation.systems.ladder import fitted_latent


def export_vae(folder, decoder):
    """Write a VAE with a random encoder and this decoder."""
    torch.manual_seed(0)
    vae = VAE(decoder.config)
    vae.decoder.load_state_dict(decoder.state_dict())
    export_trained(folder, "vae", vae)
    return vae.eval()


@pytest.fixture(scope="module")
def shortcut_folder(tiny_codec, tmp_path_factory):
    """The tiny codec with a VAE that has the linear shortcut, as the built-in model's."""
    sizes = dataclasses.replace(tiny_codec.config.decoder.vae, patch_shortcut=True)
    decoder = dataclasses.replace(tiny_codec.config.decoder, vae=sizes)
    torch.manual_seed(1)
    config = dataclasses.replace(tiny_codec.config, decoder=decoder, pads_windows=False)
    codec = SemantiCodec(config)
    # Trained maps differ from those that a VAE starts with.
    with torch.no_grad():
        codec.decoder.vae.patch_shortcut.weight *= 1.1
        codec.decoder.vae.conv_out.weight.normal_(0, 0.02)
    return codec.save_pretrained(tmp_path_factory.mktemp("shortcut"))


def test_the_vocoder_is_given_the_true_mel(tiny_folder, tiny_codec, clip, noise):
    wav = noise(9000)
    made = open_system(f"vocoder:path={tiny_folder}").reconstruct(wav, clip)
    padded = 163_840 if tiny_codec.config.pads_windows else 10_240
    window = np.pad(wav, (0, padded - len(wav)))
    with torch.inference_mode():
        expected = tiny_codec.decoder.waveform(Mel()(torch.from_numpy(window)[None]))
    assert np.array_equal(made.wav, expected[0, :9000].numpy())
    assert made.num_bits is None


@pytest.mark.parametrize("num_samples", [1, 400, 170_000])
def test_lengths_are_exact_and_windows_are_joined(tiny_folder, clip, noise, num_samples):
    made = open_system(f"vocoder:path={tiny_folder}").reconstruct(noise(num_samples), clip)
    assert made.wav.shape == (num_samples,)


def test_an_encoder_gives_the_mean_that_the_decoder_of_the_model_decodes(
    tiny_folder, tiny_codec, clip, noise, tmp_path
):
    vae = export_vae(tmp_path / "vae", tiny_codec.decoder.vae)
    system = open_system(f"vae:path={tiny_folder},encoder={tmp_path / 'vae'}")
    wav = noise(163_840)
    with torch.inference_mode():
        mel = vae.decode(vae.encode(Mel()(torch.from_numpy(wav)[None]))[0])
        expected = tiny_codec.decoder.waveform(mel)[0].numpy()
    made = system.reconstruct(wav, clip).wav
    assert np.allclose(made, expected, atol=1e-5)
    assert not np.allclose(
        made, open_system(f"vocoder:path={tiny_folder}").reconstruct(wav, clip).wav, atol=1e-3
    )
    assert system.details["latent"].startswith("mean of the encoder")
    assert str(tmp_path) not in f"{system.spec} {system.name} {system.details}"


def test_an_encoder_of_another_vae_is_refused(tiny_folder, tiny_codec, tmp_path):
    other = VAE(tiny_codec.config.decoder.vae).decoder
    export_vae(tmp_path / "other", other)
    with pytest.raises(CheckpointError, match="whose decoder is not the model's"):
        open_system(f"vae:path={tiny_folder},encoder={tmp_path / 'other'}")


def test_without_an_encoder_latents_are_fitted(shortcut_folder, clip, noise):
    system = open_system(f"vae:path={shortcut_folder}")
    assert system.details["latent"].startswith("fitted")
    assert system.reconstruct(noise(6000), clip).wav.shape == (6000,)
    vae = system.decoder.vae
    mel = Mel()(torch.from_numpy(noise(5120))[None])
    start = PatchAnalysis(vae.config)(mel.unsqueeze(1))
    with torch.inference_mode():
        errors = [
            float((vae(latent) - mel).square().mean())
            for latent in (start, fitted_latent(vae, mel, 10), fitted_latent(vae, mel, 40))
        ]
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]


def test_a_vae_without_shortcut_needs_its_encoder(tiny_folder):
    with pytest.raises(ConfigError, match="give vae:encoder=FOLDER"):
        open_system(f"vae:path={tiny_folder}")
