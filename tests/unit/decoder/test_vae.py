"""VAE and both vocoders: sizes, shapes, exact lengths."""

from dataclasses import replace

import pytest
import torch

from semanticodec.decoder.hifigan import Conv, HiFiGAN, TransposedConv
from semanticodec.decoder.vae import (
    VAE,
    VAEDecoder,
    VAEEncoder,
    cosine_patches,
    sample_latent,
)
from semanticodec.decoder.vocos import InverseSTFT, Vocos

SMALL = VAE.Config(base_channels=8, num_res_blocks=1, num_groups=4)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_official_sizes_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert count(VAEEncoder(VAE.Config())) == 22_395_296
        assert count(VAEDecoder(VAE.Config())) == 32_981_577
        assert count(HiFiGAN(HiFiGAN.Config())) == 55_264_897


def test_latent_is_a_quarter_of_the_mel_both_ways() -> None:
    vae = VAE(SMALL)
    mel = torch.randn(2, 32, 64)
    mean, log_variance = vae.encode(mel)
    assert mean.shape == log_variance.shape == (2, 8, 8, 16)
    assert vae.decode(mean).shape == mel.shape


def test_the_shortcut_alone_is_already_an_autoencoder() -> None:
    config = VAE.Config(base_channels=8, num_res_blocks=1, num_groups=4, patch_shortcut=True)
    vae = VAE(config)
    smooth = torch.linspace(-8, 0, 64).expand(1, 32, 64)
    mean, log_variance = vae.encode(smooth)
    assert (vae.decode(mean) - smooth).abs().max() < 0.1
    assert mean.abs().max() < 6 and (log_variance < -5).all()
    assert not any("patch_shortcut" in name for name in VAE(SMALL).state_dict())


def test_without_attention_it_has_no_weights_of_it_and_is_otherwise_the_same() -> None:
    config = replace(SMALL, middle_attention=False)
    vae, full = VAE(config), VAE(SMALL)
    missing, unexpected = vae.load_state_dict(full.state_dict(), strict=False)
    assert not missing
    assert unexpected and all(".middle.attention." in name for name in unexpected)
    for middle in (full.encoder.middle, full.decoder.middle):
        torch.nn.init.zeros_(middle.attention.project.weight)
        torch.nn.init.zeros_(middle.attention.project.bias)
    latent = torch.randn(1, 8, 8, 16)
    assert torch.allclose(vae.decode(latent), full.decode(latent), atol=1e-5)


@pytest.mark.parametrize("size", [2, 4, 8])
def test_cosine_patches_are_orthonormal(size: int) -> None:
    patches = cosine_patches(size, size * size).flatten(1)
    assert torch.allclose(patches @ patches.T, torch.eye(size * size), atol=1e-5)


def test_sampled_latent_has_the_encoder_s_moments() -> None:
    mean, log_variance = torch.full((1000,), 3.0), torch.full((1000,), -2.0)
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    latent = sample_latent(mean, log_variance, noise)
    assert latent.mean().item() == pytest.approx(3.0, abs=0.05)
    assert latent.std().item() == pytest.approx(torch.tensor(-1.0).exp().item(), rel=0.1)


@pytest.mark.parametrize("has_shortcut", [False, True])
def test_inference_decodes_what_training_does(has_shortcut: bool) -> None:
    torch.manual_seed(0)
    config = VAE.Config(base_channels=32, num_groups=8, patch_shortcut=has_shortcut)
    decoder, latent = VAEDecoder(config), torch.randn(1, 8, 64, 8)  # 512 cells: attended in blocks
    torch.nn.init.normal_(decoder.conv_out.weight)
    expected = decoder(latent)
    with torch.inference_mode():
        error = (decoder(latent) - expected).abs().max()
    assert error < 1e-4 * expected.std()


def test_bfloat16_decodes_as_near_as_its_rounding() -> None:
    torch.manual_seed(0)
    decoder = VAEDecoder(VAE.Config(base_channels=32, num_groups=8))
    latent = torch.randn(1, 8, 64, 8)
    with torch.inference_mode():
        exact = decoder(latent)
        mel = decoder.bfloat16()(latent.bfloat16()).float()
    assert (mel - exact).std() < 0.05 * exact.std()


@pytest.mark.parametrize("num_frames", [1, 7, 64])
def test_vocos_gives_one_hop_per_frame(num_frames: int) -> None:
    vocoder = Vocos(Vocos.Config(width=16, hidden=16, num_layers=1))
    wav = vocoder(torch.randn(2, num_frames, 64))
    assert wav.shape == (2, 160 * num_frames) and wav.isfinite().all()


def test_hifigan_gives_32_samples_more_than_its_hops() -> None:
    vocoder = HiFiGAN(HiFiGAN.Config(initial_channels=32))
    wav = vocoder(torch.randn(1, 10, 64))
    assert wav.shape == (1, 1632) and wav.abs().max() <= 1.0


def test_hifigan_layers_are_one_dimensional_convolutions() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 6, 50)
    for kernel_size, dilation in ((7, 1), (3, 5), (11, 3)):
        layer = Conv(6, 4, kernel_size, dilation=dilation)
        padding = dilation * (kernel_size - 1) // 2
        expected = torch.nn.functional.conv1d(
            features, layer.weight, layer.bias, padding=padding, dilation=dilation
        )
        torch.testing.assert_close(layer(features.unsqueeze(2)).squeeze(2), expected)
    upsampler = TransposedConv(6, 4, 16, 5, padding=5)
    expected = torch.nn.functional.conv_transpose1d(
        features, upsampler.weight, upsampler.bias, stride=5, padding=5
    )
    torch.testing.assert_close(upsampler(features.unsqueeze(2)).squeeze(2), expected)


def test_inverse_stft_undoes_a_forward_one() -> None:
    inverse = InverseSTFT(640, 160)
    wav = torch.randn(1, 160 * 20)
    padded = torch.nn.functional.pad(wav, (240, 240))
    frames = padded.unfold(-1, 640, 160) * inverse.window
    assert torch.allclose(inverse(torch.fft.rfft(frames)), wav, atol=1e-5)
