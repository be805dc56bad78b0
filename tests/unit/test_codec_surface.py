"""The public surface in the first hour: calling it, surroundings, ids, latents, names, copies."""

import copy
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from conftest import random_codec
from semanticodec import Codes, SemantiCodec
from semanticodec.decoder.sampling import SAMPLERS, SamplingConfig
from semanticodec.encoder.encoder import FEATURE_LAYERS
from semanticodec.errors import AudioError, CheckpointError, CodesError, ConfigError


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    kind = {"dtype": torch.float32, "device": "cpu"}
    return 0.1 * torch.randn(num_samples, generator=generator, **kind)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny codec with windows as short as the sound: nothing here depends on their length."""
    padded = random_codec()
    codec = SemantiCodec(replace(padded.config, pads_windows=False))
    codec.load_state_dict(padded.state_dict())
    return codec.save_pretrained(tmp_path_factory.mktemp("short-windows"))


@pytest.fixture(scope="module")
def tiny_codec(tiny_folder: Path) -> SemantiCodec:
    return SemantiCodec.from_pretrained(tiny_folder)


# --- calling it ---


def test_calling_the_codec_encodes_and_decodes(tiny_codec: SemantiCodec) -> None:
    wav = noise(9000)
    assert torch.equal(tiny_codec(wav), tiny_codec.decode(tiny_codec.encode(wav)))
    assert tiny_codec(torch.stack([wav, wav])[:, None]).shape == (2, 1, 9000)
    assert tiny_codec(wav.numpy(), sample_rate=8000).shape == (1, 1, 18_000)


def test_everything_behind_the_codes_goes_by_name(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5000))
    with pytest.raises(TypeError):
        tiny_codec.decode(codes, 4)  # type: ignore[misc]
    with pytest.raises(TypeError):
        tiny_codec.decode_stream(codes, 4)  # type: ignore[misc]


def test_settings_are_an_object_a_quality_or_names(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5000))
    by_name = tiny_codec.decode(codes, num_steps=2, guidance_scale=1.5, seed=1)
    chosen = tiny_codec.sampling(num_steps=2, guidance_scale=1.5)
    assert torch.equal(tiny_codec.decode(codes, sampling=chosen, seed=1), by_name)
    other = tiny_codec.decode(codes, sampling=chosen, num_steps=3, seed=1)
    assert not torch.equal(other, by_name)
    best = tiny_codec.decode(codes, sampling="best")
    assert torch.equal(best, tiny_codec.decode(codes, quality="best"))
    with pytest.raises(ConfigError, match="one of them"):
        tiny_codec.decode(codes, sampling=chosen, quality="best")
    for method in (tiny_codec.decode, tiny_codec.decode_stream):
        with pytest.raises(ConfigError, match="no sampling setting steps; choose from"):
            method(codes, steps=4)


def test_qualities_that_are_one_setting_say_so(tiny_codec: SemantiCodec) -> None:
    found = tiny_codec.qualities
    assert list(found) == ["draft", "standard", "best"]
    assert found["standard"] == tiny_codec.sampling() == found["best"]


@pytest.mark.parametrize("seed", [None, 1.5, "1"])
def test_seeds_are_whole_numbers(tiny_codec: SemantiCodec, seed: int) -> None:
    codes = tiny_codec.encode(noise(5000))
    with pytest.raises(ConfigError, match="seed is .*; give a whole number"):
        tiny_codec.decode(codes, seed=seed)


@pytest.mark.parametrize("given", [torch.zeros(1, 8, 256, 8), torch.zeros(8), None])
def test_noise_that_does_not_fit_is_refused(tiny_codec: SemantiCodec, given: torch.Tensor) -> None:
    codes = tiny_codec.encode(noise(5000))
    with pytest.raises(ConfigError, match=r"floats of \[1, 8, 256, 16\] are needed"):
        tiny_codec.decode(codes, noise=lambda window, draw: given)


def test_wrong_arguments_of_a_stream_are_refused_at_once(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5000))
    with pytest.raises(ConfigError, match="num_steps is 0"):
        tiny_codec.decode_stream(codes, num_steps=0)


def test_an_item_that_is_too_short_is_named(tiny_codec: SemantiCodec) -> None:
    with pytest.raises(AudioError, match=r"audio\[1\] has 100 samples at 16 kHz; at least 400"):
        tiny_codec.encode([noise(5000), noise(100)])


# --- training on what it gives ---


def test_a_head_on_features_can_be_trained(tiny_codec: SemantiCodec) -> None:
    for layers in FEATURE_LAYERS:
        features = tiny_codec.features(noise(5000), layers)
        head = nn.Linear(features.shape[-1], 1)
        F.mse_loss(head(features), torch.ones(features.shape[:2]).unsqueeze(-1)).backward()
        assert head.weight.grad is not None and head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("is_inference", [False, True])
def test_results_are_ordinary_tensors(tiny_codec: SemantiCodec, is_inference: bool) -> None:
    with torch.inference_mode(is_inference):
        codes = tiny_codec.encode(noise(5000))
        latents = tiny_codec.encode_latent(noise(5000))
        results = [
            codes.semantic,
            codes.acoustic,
            tiny_codec.features(noise(5000)),
            tiny_codec.dequantize(codes),
            tiny_codec.decode(codes, num_steps=1),
            next(tiny_codec.decode_stream(codes, num_steps=1)),
            latents.acoustic,
            latents.semantic,
        ]
    assert not any(result.is_inference() or result.requires_grad for result in results)
    embedding = nn.Embedding(128, 4)
    embedding(codes.semantic).sum().backward()
    nn.Conv1d(1, 1, 3)(results[5]).sum().backward()


# --- surroundings ---


@pytest.fixture(scope="module")
def undisturbed_results(tiny_codec: SemantiCodec) -> dict[str, torch.Tensor | Codes]:
    return results_of(tiny_codec)


def results_of(codec: SemantiCodec) -> dict[str, torch.Tensor | Codes]:
    codes = codec.encode([noise(20_000), noise(6000, 1)])
    found: dict[str, torch.Tensor | Codes] = {"codes": codes}
    for layers in FEATURE_LAYERS:
        found[layers] = codec.features(noise(6000), layers)
    for sampler in SAMPLERS:
        options = {"sampler": sampler, "num_steps": 2, "guidance_scale": 2.0}
        found[sampler] = codec.decode(codes, **options)
    blocks = list(codec.decode_stream(codes[0], num_steps=2, eta=1.0))
    found["stream"] = torch.cat(blocks, dim=-1)
    latents = codec.encode_latent(noise(6000))
    found["latent"] = codec.decode_latent(latents, num_steps=1)
    found["quantized"] = codec.quantize(latents)
    return found


def assert_same(found: dict, expected: dict) -> None:
    for name, value in expected.items():
        if isinstance(value, Codes):
            assert found[name] == value, name
        else:
            assert found[name].dtype == torch.float32 and found[name].device.type == "cpu", name
            assert torch.equal(found[name], value), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(tiny_codec, undisturbed_results, dtype) -> None:
    with torch.autocast("cpu", dtype=dtype):
        assert_same(results_of(tiny_codec), undisturbed_results)
        assert torch.is_autocast_enabled("cpu")


def test_the_default_dtype_changes_nothing(tiny_folder, tiny_codec, undisturbed_results) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        found = results_of(tiny_codec)
        loaded = SemantiCodec.from_pretrained(tiny_folder)
        again = results_of(loaded)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(found, undisturbed_results)
    assert_same(again, undisturbed_results)
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}


def test_the_default_device_changes_nothing(tiny_folder, tiny_codec, undisturbed_results) -> None:
    with torch.device("meta"):
        found = results_of(tiny_codec)
        codes = SemantiCodec.from_pretrained(tiny_folder).encode(noise(6000))
    assert_same(found, undisturbed_results)
    assert codes == tiny_codec.encode(noise(6000))


def test_threads_may_share_a_codec(tiny_codec: SemantiCodec) -> None:
    wavs = [noise(length) for length in (5000, 30_000, 200_000)]
    items = [tiny_codec.encode(wav) for wav in wavs]
    options = {"num_steps": 1, "guidance_scale": 2.0}
    expected = [tiny_codec.decode(item, **options) for item in items]
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(2):
            try:
                codes = tiny_codec.encode(wavs[number])
                decoded = tiny_codec.decode(codes, **options)
                if codes != items[number] or not torch.equal(decoded, expected[number]):
                    wrong.append(number)
            except Exception as error:
                wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not wrong


FORKED = """
import multiprocessing, torch
from semanticodec import SemantiCodec
from semanticodec.errors import ConfigError

torch.set_num_threads(2)
codec = SemantiCodec.from_pretrained({folder!r})
wav = 0.1 * torch.randn(40_000)
codes = codec.encode(wav)

def work(num_threads):
    torch.set_num_threads(num_threads)
    try:
        return codec.encode(wav) == codes
    except ConfigError as error:
        return str(error)

with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply_async(work, (2,)).get(60))
    print(pool.apply_async(work, (1,)).get(60))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks and libgomp")
def test_a_fork_without_its_threads_is_refused_and_does_not_hang(tiny_folder) -> None:
    program = FORKED.format(folder=str(tiny_folder))
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    refused, alone = finished.stdout.splitlines()
    assert "'spawn', or call torch.set_num_threads(1)" in refused
    assert alone == "True"


# --- precision ---


@pytest.mark.parametrize("change", ["half", "bfloat16", "double", "float"])
def test_precision_is_the_decoders(tiny_codec: SemantiCodec, change: str) -> None:
    codec = copy.deepcopy(tiny_codec)
    getattr(codec, change)()
    wav = noise(6000)
    codes = codec.encode(wav)
    assert codes == tiny_codec.encode(wav) and codec.model_fingerprint == codes.fingerprint
    assert torch.equal(codec.features(wav), tiny_codec.features(wav))
    decoded = codec.decode(codes, num_steps=2, guidance_scale=1.5)
    assert decoded.dtype == torch.float32 and decoded.isfinite().all()
    assert codec.to(torch.float32).encoder.audiomae.positions.dtype == torch.float32


@pytest.mark.parametrize("part", ["", ".acoustic", ".audiomae"])
def test_an_encoder_in_other_precision_is_refused(tiny_codec: SemantiCodec, part: str) -> None:
    codec = copy.deepcopy(tiny_codec)
    codec.get_submodule("encoder" + part).bfloat16()
    for method in (codec.encode, codec.features, codec.encode_latent):
        with pytest.raises(ConfigError, match=r"torch\.bfloat16.*as codec\.half\(\) does"):
            method(noise(5000))


# --- the fingerprint ---


def test_changed_weights_have_another_fingerprint(tiny_codec: SemantiCodec, tmp_path) -> None:
    codec = copy.deepcopy(tiny_codec)
    known = {codec.model_fingerprint}
    assert known == {tiny_codec.model_fingerprint}

    def is_new() -> bool:
        known.add(codec.model_fingerprint)
        return len(known) == count + 1

    weight = codec.encoder.acoustic.get_parameter(
        next(name for name, _ in codec.encoder.acoustic.named_parameters())
    )
    changes = [
        lambda: weight.mul_(1.05),
        lambda: weight.data.mul_(1.05),
        lambda: setattr(weight, "data", weight.data * 1.05),
        lambda: codec.encoder.quantizer.embed.add_(0.1),
        lambda: codec.encoder.load_state_dict(random_codec(100).encoder.state_dict()),
        lambda: setattr(codec.encoder, "acoustic", nn.Linear(8, 8)),
    ]
    for change in changes[:4]:
        count = len(known)
        with torch.no_grad():
            change()
        assert is_new()
    codes = codec.encode(noise(5000))
    again = SemantiCodec.from_pretrained(codec.save_pretrained(tmp_path))
    assert again.decode(codes, num_steps=1).shape == (1, 1, 5000)
    with pytest.raises(CodesError, match="come from model"):
        tiny_codec.decode(codes)
    with torch.no_grad():
        changes[4]()
    assert codec.model_fingerprint == tiny_codec.model_fingerprint, "the old weights are back"
    count = len(known)
    changes[5]()
    assert is_new()


def test_the_decoders_weights_do_not_count(tiny_codec: SemantiCodec) -> None:
    codec = copy.deepcopy(tiny_codec)
    for weight in codec.decoder.parameters():
        weight.mul_(1.5)
    assert codec.model_fingerprint == tiny_codec.model_fingerprint


def test_a_fingerprint_that_was_set_lasts_until_weights_change(tiny_codec: SemantiCodec) -> None:
    codec = copy.deepcopy(tiny_codec)
    codec.model_fingerprint = b"my model"
    assert codec.encode(noise(5000)).fingerprint == b"my model"
    assert copy.deepcopy(codec).model_fingerprint == b"my model"
    next(codec.encoder.parameters()).mul_(2)
    assert codec.model_fingerprint not in (b"my model", tiny_codec.model_fingerprint)


def test_a_codec_can_be_pickled(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5000))
    tiny_codec.decode(codes, num_steps=1, guidance_scale=2.0)
    codec = pickle.loads(pickle.dumps(tiny_codec))
    assert codec.encode(noise(5000)) == codes
    assert torch.equal(codec.decode(codes), tiny_codec.decode(codes))


# --- ids of language models ---


def test_decode_takes_ids(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode(noise(5120))
    expected = tiny_codec.decode(codes, num_steps=1)
    for layout in ("stacked", "paired", "interleaved"):
        ids = getattr(codes, layout)()
        for form in (ids, ids.int(), ids.numpy()):
            assert torch.equal(tiny_codec.decode(form, layout=layout, num_steps=1), expected)
            blocks = tiny_codec.decode_stream(form, layout=layout, num_steps=1)
            assert torch.equal(torch.cat(list(blocks), dim=-1), expected)


def test_ids_become_this_models_codes(tiny_codec: SemantiCodec) -> None:
    codes = tiny_codec.encode([noise(5000), noise(3000)])
    for layout in ("stacked", "paired", "interleaved"):
        ids = getattr(codes, layout)()
        assert tiny_codec.codes_from(ids, layout, num_samples=codes.num_samples) == codes
    plain = codes.interleaved(offset=False)
    lengths = codes.num_samples
    found = tiny_codec.codes_from(plain, "interleaved", num_samples=lengths, offset=False)
    assert found == codes and found.fingerprint == tiny_codec.model_fingerprint


def test_partial_columns_are_a_choice(tiny_codec: SemantiCodec) -> None:
    ids = torch.randint(64, (1, 2, 13))
    with pytest.raises(CodesError, match="partial='cut' or 'fill'"):
        tiny_codec.codes_from(ids)
    assert tiny_codec.codes_from(ids, partial="cut").num_samples == (2560,)
    assert tiny_codec.codes_from(ids, partial="fill").num_samples == (5120,)


@pytest.mark.parametrize("ids", [torch.full((1, 2, 8), 200), torch.zeros(2, 8).long(), {}, 3])
def test_what_is_neither_codes_nor_ids_is_refused(tiny_codec: SemantiCodec, ids) -> None:
    with pytest.raises(CodesError, match="is not Codes, nor ids of this model"):
        tiny_codec.decode(ids)


# --- latents ---


@pytest.mark.parametrize("pads_windows", [True, False])
@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_latents_quantize_to_the_codes(token_rate: int, pads_windows: bool) -> None:
    codec = random_codec(token_rate)
    if not pads_windows:
        other = SemantiCodec(replace(codec.config, pads_windows=False))
        other.load_state_dict(codec.state_dict())
        codec = other
    audio = [noise(200_000, 1), noise(5000, 2)]
    latents = codec.encode_latent(audio)
    assert latents.num_samples == (200_000, 5000)
    codes = codec.quantize(latents)
    assert codes == codec.encode(audio)
    assert torch.equal(codec.dequantize(codes), codec.features(audio, "all"))
    unquantized = codec.features(audio, "unquantized")
    assert torch.equal(latents.semantic, codec.features(audio, "continuous"))
    expected = codec.decode_features(
        *unquantized.chunk(2, dim=-1), latents.num_samples, num_steps=1, seed=2
    )
    decoded = codec.decode_latent(latents, num_steps=1, seed=2)
    torch.testing.assert_close(decoded, expected, rtol=1e-4, atol=1e-5)


def test_decoded_features_are_those_of_the_codes(tiny_codec: SemantiCodec) -> None:
    audio = [noise(30_000, 1), noise(5000, 2)]
    codes = tiny_codec.encode(audio)
    halves = tiny_codec.dequantize(codes).chunk(2, dim=-1)
    options = {"num_steps": 2, "guidance_scale": 1.5, "seed": 4}
    decoded = tiny_codec.decode_features(*halves, codes.num_samples, **options)
    assert torch.equal(decoded, tiny_codec.decode(codes, **options))
    settings = SamplingConfig(num_steps=2, guidance_scale=1.5)
    assert torch.equal(
        tiny_codec.decode_features(*halves, codes.num_samples, settings, seed=4), decoded
    )
    with pytest.raises(CodesError, match="features of shape"):
        tiny_codec.decode_features(*halves, (30_000, 40_000))


# --- loading ---


def test_devices_and_precisions_are_checked(tiny_folder) -> None:
    assert SemantiCodec.from_pretrained(tiny_folder, device="auto").device.type in ("cpu", "cuda")
    half = SemantiCodec.from_pretrained(tiny_folder, dtype="bfloat16")
    assert next(half.decoder.unet.parameters()).dtype == torch.bfloat16
    for options, message in (
        ({"device": "abacus"}, "'abacus' is not a device; choose cpu"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"dtype": "int8"}, "'int8' is not a precision; choose one of float32"),
        ({"dtype": torch.int8}, "is not a precision"),
    ):
        with pytest.raises(ConfigError, match=message):
            SemantiCodec.from_pretrained(tiny_folder, **options)


def test_the_hub_is_not_reached_where_it_must_not_be(tmp_path) -> None:
    options = {"cache_dir": tmp_path, "local_files_only": True, "token": "secret"}
    with pytest.raises(CheckpointError, match="someone/codec is not in the Hub cache"):
        SemantiCodec.from_pretrained("someone/codec", **options)
    with pytest.raises(CheckpointError, match=r"encoder\.ckpt is not in the Hub cache"):
        SemantiCodec.from_official(**options)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "call", [SemantiCodec, lambda **settings: SemantiCodec(100, **settings)], ids=["names", "order"]
)
def test_the_official_package_s_call_is_answered_with_the_line_to_write(call):
    with pytest.raises(ConfigError, match="official package; write `from semanticodec.compat"):
        call()
    message = r"from_official\(semantic_vocab_size=16384\) for its weights"
    with pytest.raises(ConfigError, match=message):
        call(semantic_vocab_size=16384, cache_path="pretrained")
