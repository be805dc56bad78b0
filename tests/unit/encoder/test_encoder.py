"""The encoder as a whole: padding marks, independence of the batch, training from a cache."""

import numpy as np
import pytest
import torch

from golden_weights import GOLDEN
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder, active_frames, mask_padding, valid_mask
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CodesError, ConfigError
from semanticodec.runtimes.onednn import use_onednn

WIDTH = 16
FLOOR = -1.25
NUM_FRAMES = 128


def small_encoder(
    stack_factor: int = 1, acoustic: dict | None = None, **quantizer_settings
) -> Encoder:
    torch.manual_seed(0)
    width = stack_factor * WIDTH
    encoder = Encoder(
        Encoder.Config(
            audiomae=AudioMAE.Config(
                num_frames=NUM_FRAMES, width=WIDTH, depth=3, num_heads=2, num_averaged_blocks=2
            ),
            stack_factor=stack_factor,
            semantic=SemanticQuantizer.Config(width=width, vocab_sizes=(32, 64)),
            acoustic=AcousticEncoder.Config(
                width=width, hidden=2 * width, num_layers=2, **(acoustic or {})
            ),
            quantizer=VectorQuantizer.Config(
                **({"width": width, "codebook_size": 48, "code_width": 4} | quantizer_settings)
            ),
        )
    )
    for vocab_size in (32, 64):
        encoder.semantic.codebook(vocab_size).normal_()
    return encoder.eval()


def fbank_of(*lengths: int) -> torch.Tensor:
    """Noise for so many frames, then the floor, one item per length."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(len(lengths), NUM_FRAMES, 128, generator=generator)
    is_audio = torch.arange(NUM_FRAMES) < torch.tensor(lengths).unsqueeze(1)
    return torch.where(is_audio.unsqueeze(-1), noise, FLOOR)


def test_active_frames_end_with_the_last_that_is_not_silent():
    fbank = fbank_of(0, 1, 50, NUM_FRAMES)
    fbank[2, 10:20] = FLOOR  # silence inside does not count as padding
    assert active_frames(fbank).tolist() == [0, 1, 50, NUM_FRAMES]


def test_a_constant_row_is_silent_at_any_level():
    # The sum of 128 equal float32 numbers is often not 128 times the number.
    levels = torch.linspace(-2, 2, 997).view(-1, 1, 1).expand(-1, 1, 128)
    assert not active_frames(levels).any()


def test_the_end_of_a_golden_clip():
    golden = np.load(GOLDEN / "fbank.npz")["a_mel_head"]
    assert active_frames(torch.from_numpy(golden).unsqueeze(0)).tolist() == [330]


@pytest.mark.parametrize(
    ("stack_factor", "frames", "expected"),
    [
        (1, [0, 1, 2, 3, 127, 128], [0, 1, 1, 2, 64, 64]),
        (2, [0, 1, 4, 5, 128], [0, 1, 1, 2, 32]),
        (4, [0, 8, 9, 128], [0, 1, 2, 16]),
    ],
)
def test_valid_positions_round_up(stack_factor, frames, expected):
    # 128 frames are 64, 32 or 16 positions: 2, 4 or 8 frames each.
    encoder = small_encoder(stack_factor)
    fbank = fbank_of(*frames)
    assert encoder.valid_positions(fbank).tolist() == expected
    assert encoder.features(fbank).shape[1] == 64 // stack_factor


def test_mask_padding_marks_the_rest_with_minus_one():
    features = torch.randn(2, 5, 3)
    marked = mask_padding(features, valid_mask(torch.tensor([2, 5]), 5))
    assert torch.equal(marked[0, :2], features[0, :2])
    assert (marked[0, 2:] == -1).all()
    assert torch.equal(marked[1], features[1])


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@pytest.mark.parametrize("vocab_size", [32, 64])
def test_encode_gives_codes_that_quantized_takes_back(stack_factor, vocab_size):
    encoder = small_encoder(stack_factor)
    semantic, acoustic = encoder.encode(fbank_of(128, 40), vocab_size)
    assert semantic.shape == acoustic.shape == (2, 64 // stack_factor)
    assert int(semantic.max()) < vocab_size
    acoustic_features, semantic_features = encoder.quantized(semantic, acoustic, vocab_size)
    assert torch.equal(semantic_features, encoder.semantic.codebook(vocab_size)[semantic])
    assert torch.equal(acoustic_features, encoder.quantizer.decode(acoustic))


def test_an_item_does_not_depend_on_its_batch():
    encoder = use_onednn(small_encoder())
    # Codes a rounding error apart in pairs: rows of a batch that round differently would show.
    encoder.quantizer.embed[24:] = encoder.quantizer.embed[:24] * (1 + 1e-7)
    fbank = fbank_of(128, 60, 0, 90, 128)
    together = encoder.encode(fbank, 64)
    for item in range(len(fbank)):
        alone = encoder.encode(fbank[item : item + 1], 64)
        assert torch.equal(alone[0], together[0][item : item + 1])
        assert torch.equal(alone[1], together[1][item : item + 1])


def test_semantic_codes_are_chosen_before_the_mark():
    encoder = small_encoder()
    fbank = fbank_of(40)
    expected = encoder.semantic.encode(encoder.features(fbank), 64)
    assert torch.equal(encoder.encode(fbank, 64)[0], expected)


def test_the_acoustic_encoder_sees_the_mark():
    encoder = small_encoder()
    fbank, seen = fbank_of(40), []
    encoder.acoustic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    encoder.encode(fbank, 64)
    for given in seen[0]:
        assert (given[:, 20:] == -1).all()
        assert (given[:, :20] != -1).any(dim=-1).all()


def test_forward_in_evaluation_agrees_with_encode():
    encoder = small_encoder()
    fbank = fbank_of(40)
    output = encoder(encoder.features(fbank), encoder.valid_positions(fbank), 64)
    semantic, acoustic = encoder.encode(fbank, 64)
    assert torch.equal(output.semantic_codes, semantic)
    assert torch.equal(output.acoustic_codes, acoustic)
    acoustic_features, semantic_features = encoder.quantized(semantic, acoustic, 64)
    assert torch.equal(output.valid.sum(dim=1), torch.tensor([20]))
    assert torch.equal(output.semantic_features, mask_padding(semantic_features, output.valid))
    assert torch.equal(output.acoustic_features, mask_padding(acoustic_features, output.valid))


def sight_of_mel(stack_factor: int) -> dict:
    return {
        "is_residual": True,
        "num_mel_bins": 64,
        "num_bands": {1: 8, 2: 4, 4: 4}[stack_factor],
        "stack_factor": stack_factor,
    }


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_the_acoustic_encoder_may_see_the_mel(stack_factor):
    encoder = small_encoder(stack_factor, sight_of_mel(stack_factor))
    assert encoder.sees_mel
    torch.nn.init.normal_(encoder.acoustic.residual.axes.weight)
    fbank, mel = fbank_of(100, NUM_FRAMES), torch.randn(2, NUM_FRAMES, 64)
    features, num_valid = encoder.features(fbank), encoder.valid_positions(fbank)
    output = encoder(features, num_valid, 32, mel=mel)
    _, acoustic_codes = encoder.encode(fbank, 32, mel)
    assert torch.equal(output.acoustic_codes, acoustic_codes)
    others = encoder(features, num_valid, 32, mel=mel.flip(1))
    assert not torch.equal(others.vectors, output.vectors)
    together, alone = encoder.latents(fbank, 32, mel), encoder.latents(fbank[1:], 32, mel[1:])
    torch.testing.assert_close(together[0][1:], alone[0])


def test_a_mel_that_is_missing_and_other_columns_are_refused():
    with pytest.raises(ConfigError, match="give mel, the result of window_mel"):
        small_encoder(1, sight_of_mel(1)).encode(fbank_of(NUM_FRAMES), 32)
    with pytest.raises(ConfigError, match="num_bands to 4 and acoustic.stack_factor to 2"):
        small_encoder(2, sight_of_mel(1))
    with pytest.raises(ConfigError, match="num_bands to 4 and acoustic.stack_factor to 4"):
        small_encoder(4, sight_of_mel(2))


def test_training_starts_from_features_and_leaves_audiomae_alone():
    encoder = small_encoder(initialize_from_data=True, revival_threshold=0.1).train()
    encoder.audiomae.forward = None  # pyright: ignore
    features = torch.randn(2, 64, WIDTH)
    generators = [torch.Generator().manual_seed(item) for item in range(2)]
    output = encoder(features, torch.tensor([64, 10]), 32, generators)
    (output.acoustic_features.square().sum() + output.losses["commitment"]).backward()
    trained = {name for name, value in encoder.named_parameters() if value.grad is not None}
    assert trained == {
        name
        for name, _ in encoder.named_parameters()
        if name.startswith(("acoustic.", "quantizer."))
    }
    assert (output.acoustic_features[1, 10:] == -1).all()


def test_padded_positions_teach_the_quantizer_nothing():
    states = []
    for padding in (0.0, 7.0):
        encoder = small_encoder().train()
        features = torch.randn(2, 64, WIDTH, generator=torch.Generator().manual_seed(0))
        features[:, 30:] = padding
        encoder(features, torch.tensor([30, 30]), 32)
        states.append(encoder.quantizer.state_dict())
    assert float(states[0]["cluster_size"].sum()) == pytest.approx(48 * 0.9 + 60 * 0.1, rel=1e-5)
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def test_modules_of_different_widths_are_refused():
    with pytest.raises(ConfigError, match=r"semantic module is 768 wide.* semantic\.width to 1536"):
        Encoder(Encoder.Config(stack_factor=2))


def test_unknown_vocabulary_and_foreign_codes_are_refused():
    encoder = small_encoder()
    codes = torch.full((1, 4), 50)
    with pytest.raises(ConfigError, match="choose from 32, 64"):
        encoder.encode(fbank_of(128), 128)
    with pytest.raises(CodesError, match="semantic codes run from 50 to 50"):
        encoder.quantized(codes, codes, 32)
    with pytest.raises(CodesError, match="acoustic codes run from 50 to 50"):
        encoder.quantized(codes, codes, 64)


def test_other_devices_always_compute_as_many_items(monkeypatch):
    encoder = small_encoder()
    monkeypatch.setattr("semanticodec.encoder.encoder.computes_items_alone", lambda _: False)
    seen = []
    encoder.audiomae.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    fbank = fbank_of(*range(20, 31))
    together = encoder.encode(fbank, 64)
    for item in (0, 7, 8, 10):
        alone = encoder.encode(fbank[item : item + 1], 64)
        assert torch.equal(alone[0], together[0][item : item + 1])
        assert torch.equal(alone[1], together[1][item : item + 1])
    assert set(seen) == {8}
