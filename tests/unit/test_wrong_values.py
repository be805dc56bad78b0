"""Every public function with what it does not take: a sentence of the package, nothing else."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from semanticodec import Codes, SamplingConfig, SemantiCodec, StreamDecoder, TokenFormat
from semanticodec.errors import SemantiCodecError, told

FORMAT = TokenFormat(token_rate=100, semantic_vocab_size=128, acoustic_vocab_size=64)
CODES = Codes.from_ids(torch.zeros(1, 2, 16, dtype=torch.int64), format=FORMAT)
PLAIN = {"num_steps": 1}
NUM_SAMPLES = 5120

WRONG: dict[str, Any] = {
    "None": None,
    "text": "no such name",
    "empty text": "",
    "null character": "a\0b",
    "bytes": b"",
    "list": [],
    "texts": ["a", None],
    "rows": [[1, 2], [3]],
    "dict": {},
    "True": True,
    "-1": -1,
    "1.5": 1.5,
    "huge": 10**30,
    "NaN": float("nan"),
    "complex": 1j,
    "object": object(),
    "text file": io.StringIO("a"),
    "codes": CODES,
    "integers": torch.zeros(NUM_SAMPLES, dtype=torch.int64),
    "NaN samples": torch.full((1, 16, 8), float("nan")),
    "float codes": torch.zeros(1, 2, 16),
    "bools": torch.zeros(1, 2, 16, dtype=torch.bool),
    "complex tensor": torch.zeros(1, 2, 16, dtype=torch.complex64),
    "negative codes": torch.full((1, 2, 16), -1),
    "codes out of range": torch.full((1, 2, 16), 10**6),
    "no codes": torch.zeros(1, 2, 0, dtype=torch.int64),
    "no items": torch.zeros(0, 2, 16, dtype=torch.int64),
    "5 axes": torch.zeros(1, 1, 1, 1, 1, dtype=torch.int64),
    "scalar": torch.tensor(1.5),
    "sparse": torch.eye(16).to_sparse(),
    "meta": torch.zeros(1, 2, 16, dtype=torch.int64, device="meta"),
    "nested": torch.nested.nested_tensor([torch.zeros(3), torch.zeros(4)], layout=torch.jagged),
    "8-bit floats": torch.full((1, 16, 8), float("nan")).to(torch.float8_e4m3fn),
    "wide array": np.full((1, 2, 16), 2**63, dtype=np.uint64),
    "objects": np.array([None, "a"], dtype=object),
}

# What a call takes of the values above.
NUMBER = {"-1", "1.5", "huge"}
CALLS: dict[str, tuple[Callable[[SemantiCodec, Any], Any], set[str]]] = {
    "encode": (lambda codec, value: codec.encode(value), set()),
    "forward": (lambda codec, value: codec(value), set()),
    "features": (lambda codec, value: codec.features(value), set()),
    "encode_latent": (lambda codec, value: codec.encode_latent(value), set()),
    "encode rate": (lambda codec, value: codec.encode(torch.zeros(500), value), {"None"}),
    "layers": (lambda codec, value: codec.features(torch.zeros(500), value), set()),
    "encode_stream": (lambda codec, value: list(codec.encode_stream(value)), set()),
    "encode_stream block": (lambda codec, value: list(codec.encode_stream([value])), set()),
    "encode_stream window_s": (lambda codec, value: codec.encode_stream([], window_s=value), set()),
    "quantize": (lambda codec, value: codec.quantize(value), set()),
    "quantize rows": (lambda codec, value: codec.quantize(latents(codec, acoustic=value)), set()),
    "quantize lengths": (
        lambda codec, value: codec.quantize(latents(codec, num_samples=value)),
        set(),
    ),
    "decode_latent": (lambda codec, value: codec.decode_latent(value, **PLAIN), set()),
    "decode_latent rows": (
        lambda codec, value: codec.decode_latent(latents(codec, semantic=value), **PLAIN),
        set(),
    ),
    "decode_features": (lambda codec, value: decoded_rows(codec, acoustic=value), set()),
    "decode_features rows": (lambda codec, value: decoded_rows(codec, semantic=value), set()),
    "decode_features length": (lambda codec, value: decoded_rows(codec, num_samples=value), set()),
    "codes_from": (lambda codec, value: codec.codes_from(value), set()),
    "codes_from offset": (lambda codec, value: codec.codes_from(IDS, offset=value), {"True"}),
    "codes_from partial": (lambda codec, value: codec.codes_from(IDS, partial=value), set()),
    "codes_from lengths": (
        lambda codec, value: codec.codes_from(IDS, num_samples=value),
        {"None"},
    ),
    "decode": (lambda codec, value: codec.decode(value, **PLAIN), {"codes"}),
    "decode_stream": (lambda codec, value: codec.decode_stream(value, **PLAIN), {"codes"}),
    "dequantize": (lambda codec, value: codec.dequantize(value), {"codes"}),
    "layout": (lambda codec, value: codec.decode(CODES, layout=value, **PLAIN), set()),
    "noise": (lambda codec, value: codec.decode(CODES, noise=value, **PLAIN), {"None"}),
    "drawn noise": (
        lambda codec, value: codec.decode(CODES, noise=lambda window, draw: value, **PLAIN),
        set(),
    ),
    "seed": (
        lambda codec, value: codec.windows_decoder(seed=value),
        {"True", "-1", "huge", "5 axes"},
    ),
    "batch_size": (
        lambda codec, value: codec.windows_decoder(batch_size=value),
        {"None", "huge"},
    ),
    "sampling": (lambda codec, value: codec.sampling(value), {"None"}),
    "quality": (lambda codec, value: codec.sampling(quality=value), {"None"}),
    "sampler": (lambda codec, value: codec.sampling(sampler=value), {"None"}),
    "num_steps": (lambda codec, value: SamplingConfig(num_steps=value), set()),
    "guidance_scale": (lambda codec, value: SamplingConfig(guidance_scale=value), NUMBER),
    "eta": (lambda codec, value: SamplingConfig(eta=value), set()),
    "guidance_interval": (lambda codec, value: SamplingConfig(guidance_interval=value), set()),
    "token_rate": (lambda codec, value: format_with(token_rate=value), set()),
    "vocabulary": (lambda codec, value: format_with(acoustic_vocab_size=value), {"huge"}),
    "Codes": (lambda codec, value: Codes(value, value, (NUM_SAMPLES,), FORMAT), set()),
    "Codes format": (lambda codec, value: Codes.from_ids(IDS, format=value), set()),
    "Codes fingerprint": (
        lambda codec, value: Codes.from_ids(IDS, format=FORMAT, fingerprint=value),
        set(),
    ),
    "Codes.to": (lambda codec, value: CODES.to(value), set()),
    "Codes.cat": (lambda codec, value: Codes.cat(value), set()),
    "Codes.cat item": (lambda codec, value: Codes.cat([CODES, value]), {"codes"}),
    "interleaved": (lambda codec, value: CODES.interleaved(value), {"True"}),
    "Codes.save": (lambda codec, value: CODES.save(value), {"text"}),
    "Codes.save coder": (lambda codec, value: CODES.save(io.BytesIO(), coder=value), {"None"}),
    "Codes.load": (lambda codec, value: Codes.load(value), set()),
    "Codes.load coder": (lambda codec, value: Codes.load(SMTC, coder=value), {"None"}),
    "StreamDecoder": (lambda codec, value: StreamDecoder(value), set()),
    "joined_at": (lambda codec, value: StreamDecoder(codec, joined_at=value), {"huge"}),
    "window_s": (lambda codec, value: StreamDecoder(codec, window_s=value), {"None"}),
    "overlap_s": (lambda codec, value: StreamDecoder(codec, 0.64, overlap_s=value), set()),
    "push": (lambda codec, value: StreamDecoder(codec, **PLAIN).push(value), {"codes"}),
    "SemantiCodec": (lambda codec, value: SemantiCodec(value), set()),
    "from_pretrained": (
        lambda codec, value: SemantiCodec.from_pretrained(value, local_files_only=True),
        {"None"},
    ),
    "from_pretrained rate": (
        lambda codec, value: SemantiCodec.from_pretrained(token_rate=value),
        {"None"},
    ),
    "from_pretrained vocabulary": (
        lambda codec, value: SemantiCodec.from_pretrained(semantic_vocab_size=value),
        {"None"},
    ),
    "from_pretrained device": (
        lambda codec, value: SemantiCodec.from_pretrained(device=value),
        set(),
    ),
    "from_pretrained dtype": (
        lambda codec, value: SemantiCodec.from_pretrained(dtype=value),
        set(),
    ),
    "from_official": (
        lambda codec, value: SemantiCodec.from_official(encoder=value, decoder="", codebook=""),
        {"None"},
    ),
    "save_pretrained": (lambda codec, value: codec.save_pretrained(value), {"text", "empty text"}),
    "save_pretrained dtype": (
        lambda codec, value: codec.save_pretrained("model", dtype=value),
        {"None"},
    ),
}
IDS = CODES.stacked()
MEMORY = io.BytesIO()
CODES.save(MEMORY)
SMTC = MEMORY.getvalue()


def format_with(**settings: Any) -> TokenFormat:
    return TokenFormat.of(FORMAT, settings)


def latents(codec: SemantiCodec, **changes: Any):
    return codec.encode_latent(torch.zeros(NUM_SAMPLES))._replace(**changes)


def decoded_rows(codec: SemantiCodec, **changes: Any) -> torch.Tensor:
    rows = torch.zeros(1, 16, 8)
    arguments = {"acoustic": rows, "semantic": rows, "num_samples": NUM_SAMPLES, **changes}
    return codec.decode_features(**arguments, **PLAIN)


def raised(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_taken_is_told_in_a_sentence(
    name: str, quick_codec: SemantiCodec, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, taken = CALLS[name]
    assert taken <= set(WRONG)
    for kind, value in WRONG.items():
        if kind not in taken:
            error = raised(lambda value=value: call(quick_codec, value))
            assert isinstance(error, SemantiCodecError), (kind, error)
            assert 20 < len(str(error)) < 1000 and "\n" not in str(error), (kind, error)
    assert list(tmp_path.iterdir()) == []


def test_numpy_leaves_comparing_to_codes() -> None:
    for value in (np.zeros(3), np.float32(1), np.array([None])):
        assert (value.__eq__(CODES), value == CODES) == (NotImplemented, False)


def test_values_are_told_in_one_line() -> None:
    assert told("a") == "'a'" and told(1.5) == "1.5"
    assert told(torch.zeros(2, 3)) == "Tensor of shape [2, 3] and type torch.float32"
    assert told([0] * 1000) == "of type list"
