"""The encoder with official weights against arrays that the official code computed.

Codes must be equal, except where the runner-up is nearer than `MARGIN` (squared distance): there
float32 rounding may decide. Tolerances are those stated with the arrays.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from torch import Tensor

from golden_models import CLIPS, Taps, build, golden, load, max_error, tap_encoder, tap_fbank
from golden_weights import GOLDEN, SALT, rule_codebook
from semanticodec import SemantiCodec, compat
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer

MARGIN = 1e-2
FBANK_TOLERANCE = 1e-4
FEATURE_TOLERANCE = 1e-3


# A window takes the LSTM a long time, and clips of 10 and 25 s are several.
CLIPS_SHORT_FIRST = ["a", *(pytest.param(c, marks=pytest.mark.slow) for c in "bcd")]


class EncodedClips(dict[str, Taps]):
    """Every clip that is asked for, encoded once."""

    def __init__(self, codec: SemantiCodec) -> None:
        super().__init__()
        self._codec = codec

    def __missing__(self, clip: str) -> Taps:
        self[clip] = tap_encoder(self._codec, CLIPS[clip])
        return self[clip]


@pytest.fixture(scope="module")
def taps(encoding_codec: SemantiCodec) -> dict[str, Taps]:
    return EncodedClips(encoding_codec)


def assert_codes_equal(ours: Tensor, arrays: dict[str, np.ndarray], window: str) -> None:
    """Compare the (semantic, acoustic) codes of a window, or of its start, ties apart."""
    theirs = torch.from_numpy(arrays[f"{window}_tokens_untrimmed"]).long()[: len(ours)]
    margins = np.stack([arrays[f"{window}_sem_margin"], arrays[f"{window}_aco_margin"]], axis=-1)
    margins = margins[: len(ours)]
    wrong = (ours != theirs) & torch.from_numpy(margins > MARGIN)
    assert not wrong.any(), f"{window}: {int(wrong.sum())} codes differ, {wrong.nonzero()[:5]}"


def assert_encoding_equal(taps: Taps, arrays: dict[str, np.ndarray], clip: str) -> None:
    """Compare tokens, and where the golden file has them the rows of every float tap."""
    assert tuple(taps.tokens.shape) == arrays[f"{clip}_tokens"].shape
    stack_factor = 512 // len(taps.codes[0])
    for index, codes in enumerate(taps.codes):
        window = f"{clip}{index}"
        assert_codes_equal(codes, arrays, window)
        width = taps.lstm_in[index].shape[1] // 2
        first_padded = int(arrays[f"{window}_first_padded_token"])
        is_marked = (taps.lstm_in[index] == -1).all(dim=1)
        assert is_marked[first_padded:].all()
        assert not is_marked[:first_padded].any()
        if f"{window}_stacked_rows" not in arrays:
            continue
        rows = slice(None, None, int(arrays["row_step_features"]))
        lstm_rows = slice(None, None, int(arrays["row_step_lstm"]))
        pairs = {
            "lstm_in": taps.lstm_in[index][lstm_rows],
            "lstm_out": taps.lstm_out[index][lstm_rows],
            "linear": taps.linear[index][rows],
        }
        for name, values in pairs.items():
            assert max_error(values, arrays[f"{window}_{name}_rows"]) < FEATURE_TOLERANCE, name
        # Before the padding mark the stacked features are the LSTM's first half.
        stacked = taps.lstm_in[index][:, :width][rows]
        valid = torch.arange(0, 512 // stack_factor, rows.step) < first_padded
        reference = arrays[f"{window}_stacked_rows"][valid.numpy()]
        assert max_error(stacked[valid], reference) < FEATURE_TOLERANCE


@pytest.mark.parametrize("clip", CLIPS)
def test_the_filter_bank_of_every_clip(encoding_codec: SemantiCodec, clip: str) -> None:
    arrays = golden("fbank")
    fbank = tap_fbank(encoding_codec, CLIPS[clip])
    assert tuple(fbank.shape) == tuple(arrays[f"{clip}_shape"])
    head = arrays[f"{clip}_mel_head"]
    assert max_error(fbank[: len(head)], head) < FBANK_TOLERANCE
    assert max_error(fbank.mean(dim=1), arrays[f"{clip}_frame_mean"]) < FBANK_TOLERANCE
    assert max_error(fbank.mean(dim=0), arrays[f"{clip}_bin_mean"]) < FBANK_TOLERANCE
    assert max_error(fbank.square().mean(dim=1), arrays[f"{clip}_frame_sqmean"]) < 3e-4
    assert max_error(fbank[::16], arrays[f"{clip}_mel_f16_every16"]) < 2e-3


@pytest.mark.slow  # by default, the codes of the same clip
@pytest.mark.parametrize(("clip", "window", "step"), [("a", 0, 1), ("c", 1, 8)])
def test_audiomae_block_by_block(
    encoding_codec: SemantiCodec, taps: dict[str, Taps], clip: str, window: int, step: int
) -> None:
    arrays = golden(f"audiomae_{clip}{window}")
    audiomae = encoding_codec.encoder.audiomae
    fbank = taps[clip].fbank[window].unsqueeze(0)
    outputs: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: outputs.append(output[0]))
        for module in (audiomae.patch_embedding, *audiomae.blocks)
    ]
    with torch.inference_mode():
        features = audiomae(fbank)[0]
    for hook in hooks:
        hook.remove()
    patches = outputs[0].flatten(1).T[:8]
    assert max_error(patches, arrays["patch_embed_first8"]) < FEATURE_TOLERANCE
    for index, output in enumerate(outputs[1:]):
        rows = output[[0, 1, 2, 300]]
        reference = arrays[f"block{index}_rows_0_1_2_300"]
        assert max_error(rows, reference) < FEATURE_TOLERANCE, f"block {index}"
    # The golden rows count the CLS token, which our output leaves out.
    assert max_error(features[step - 1 :: step], arrays["out"][1:]) < FEATURE_TOLERANCE


@pytest.mark.parametrize("clip", CLIPS_SHORT_FIRST)
def test_every_code_at_4096_centroids(taps: dict[str, Taps], clip: str) -> None:
    assert_encoding_equal(taps[clip], golden("encode_100_4096"), clip)


def test_semantic_codes_at_32768_centroids(
    encoding_codec: SemantiCodec, taps: dict[str, Taps]
) -> None:
    """The rest of the encoder is that of 4096 centroids."""
    arrays = golden("encode_100_32768")
    semantic = SemanticQuantizer(SemanticQuantizer.Config(vocab_sizes=(32768,)))
    semantic.codebook(32768).copy_(torch.from_numpy(rule_codebook(SALT, 100, 32768)))
    features = encoding_codec.encoder.features(taps["a"].fbank[0].unsqueeze(0))
    codes = semantic.encode(features, 32768)
    theirs = torch.from_numpy(arrays["a0_tokens_untrimmed"])[:, 0]
    is_tie = torch.from_numpy(arrays["a0_sem_margin"] <= MARGIN)
    assert ((codes[0] == theirs) | is_tie).all()


@pytest.mark.slow  # all but the larger codebook is tested with the smaller
def test_every_code_at_32768_centroids(encoder_folder: Path) -> None:
    np.save(encoder_folder / "codebook_32768.npy", rule_codebook(SALT, 100, 32768))
    codec = load(encoder_folder, vocab_size=32768)
    assert codec.semantic_vocab_size == 32768
    assert_encoding_equal(tap_encoder(codec, CLIPS["a"]), golden("encode_100_32768"), "a")


def test_quantized_features_put_the_acoustic_half_first(encoding_codec: SemantiCodec) -> None:
    arrays = golden("encode_100_4096")
    tokens = torch.from_numpy(arrays["a_tokens"]).long().unsqueeze(0)
    pair = encoding_codec.encoder.quantized(tokens[..., 0], tokens[..., 1], 4096)
    features = torch.cat(pair, dim=-1)[0]
    assert max_error(features[:4], arrays["a_quantized_feature_first4"]) == 0
    assert max_error(features[::16], arrays["a_quantized_feature_every16"]) == 0


def test_the_codec_sees_the_sound_that_the_release_sees(
    encoding_codec: SemantiCodec, taps: dict[str, Taps], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def recorded(fbank: Tensor, vocab_size: int, mel: Tensor | None) -> tuple[Tensor, ...]:
        assert mel is None  # the release reads the filter bank alone
        seen.append(fbank)
        return taps["a"].codes[0].unsqueeze(0).unbind(-1)

    monkeypatch.setattr(encoding_codec.encoder, "encode", recorded)
    codes = encoding_codec.encode(CLIPS["a"])
    [fbank] = seen
    # The release subtracts the mean of the file first, which rounds its samples differently.
    assert max_error(fbank[0], taps["a"].fbank[0].numpy()) < FBANK_TOLERANCE
    assert torch.equal(codes.stacked()[0].T, taps["a"].tokens)


@pytest.mark.slow  # its parts are those of the test before and of test_every_code_at_4096_centroids
def test_the_codec_and_the_release_agree_where_lengths_do(
    encoding_codec: SemantiCodec, taps: dict[str, Taps]
) -> None:
    codes = encoding_codec.encode(CLIPS["a"])
    assert torch.equal(codes.stacked()[0].T, taps["a"].tokens)


def test_the_resampler_is_the_releases() -> None:
    reference = golden("fbank")["d_resampled_ch0"]
    assert max_error(compat.load_first_channel(CLIPS["d"]), reference) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("token_rate", [50, 25])
def test_every_code_at_other_rates(token_rate: int) -> None:
    codec = build(token_rate, zeros=("model.", "first_stage_model."))
    arrays = golden(f"encode_{token_rate}_4096")
    taps = tap_encoder(codec, CLIPS["a"])
    assert_encoding_equal(taps, arrays, "a")
    tokens = taps.tokens.unsqueeze(0)
    features = torch.cat(codec.encoder.quantized(tokens[..., 0], tokens[..., 1], 4096), dim=-1)[0]
    assert max_error(features[:4], arrays["a_quantized_feature_first4"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["b", "c"])
def test_long_clips_agree_too(
    encoding_codec: SemantiCodec, taps: dict[str, Taps], clip: str
) -> None:
    codes = encoding_codec.encode(CLIPS[clip]).stacked()[0].T
    theirs = taps[clip].tokens[: len(codes)]
    # The release subtracts the mean of the file first, which rounds its samples differently: where
    # two entries are equally near, codes may differ.
    arrays = golden("encode_100_4096")
    for index in range(0, len(codes), 512):
        part = slice(index, index + 512)
        assert_codes_equal(codes[part], arrays, f"{clip}{index // 512}")
    assert (codes != theirs).sum() <= 2


@pytest.mark.slow
def test_converted_weights_are_the_same(encoding_codec: SemantiCodec) -> None:
    with TemporaryDirectory(prefix="semanticodec-", ignore_cleanup_errors=True) as folder:
        converted = SemantiCodec.from_pretrained(encoding_codec.save_pretrained(folder))
        assert converted.config == encoding_codec.config
        assert converted.model_fingerprint == encoding_codec.model_fingerprint
        theirs = converted.state_dict()
        for key, value in encoding_codec.state_dict().items():
            assert torch.equal(value, theirs[key]), key


def test_golden_assets_stay_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 15_000_000
