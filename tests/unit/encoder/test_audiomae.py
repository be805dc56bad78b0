"""AudioMAE and its pre-training decoder: sizes, layout, masking."""

import torch

from semanticodec.encoder.audiomae import AudioMAE, patchify
from semanticodec.encoder.audiomae_decoder import AudioMAEDecoder

SMALL = AudioMAE.Config(num_frames=64, num_mel_bins=32, width=16, depth=3, num_heads=2)


def test_official_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = AudioMAE(AudioMAE.Config())
    assert sum(parameter.numel() for parameter in model.parameters()) == 85_648_128


def test_patches_are_time_major() -> None:
    fbank = torch.zeros(1, 64, 32)
    fbank[0, 16:32, 16:32] = 1.0  # second time step, second band
    filled = patchify(fbank)[0].mean(dim=1)
    assert filled.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_patchify_keeps_rows_of_a_patch_together() -> None:
    fbank = torch.arange(64 * 32, dtype=torch.float32).view(1, 64, 32)
    patch = patchify(fbank)[0, 3].view(16, 16)
    assert torch.equal(patch, fbank[0, 16:32, 16:32])


def test_features_are_per_patch_and_independent_of_the_batch() -> None:
    torch.manual_seed(0)
    model = AudioMAE(SMALL).eval()
    fbank = torch.randn(3, 64, 32)
    features = model(fbank)
    assert features.shape == (3, 8, 16)
    assert torch.allclose(model(fbank[1:2]), features[1:2], atol=1e-5)


def test_keeping_every_patch_equals_the_plain_encoder() -> None:
    torch.manual_seed(0)
    model = AudioMAE(SMALL).eval()
    fbank = torch.randn(2, 64, 32)
    keep = torch.arange(8).expand(2, -1)
    visible = model.encode_visible(model.embed(fbank), keep)
    features = model.norm(
        model.blocks[2](model.blocks[1](model.blocks[0](model._with_cls(model.embed(fbank)))))
    )
    assert torch.allclose(visible, features, atol=1e-6)


def test_hidden_patches_do_not_leak_into_the_prediction() -> None:
    torch.manual_seed(0)
    model = AudioMAE(SMALL).eval()
    decoder = AudioMAEDecoder(
        AudioMAEDecoder.Config(
            width=16, depth=1, num_heads=2, encoder_width=16, num_patches=8, num_bands=2
        )
    ).eval()
    fbank = torch.randn(1, 64, 32)
    changed = fbank.clone()
    changed[:, 16:32, :16] += 5.0  # patch 2
    keep = torch.tensor([[0, 3, 5]])
    first, second = (
        decoder(model.encode_visible(model.embed(item), keep), keep, 8) for item in (fbank, changed)
    )
    assert first.shape == (1, 8, 256)
    assert torch.equal(first, second)
