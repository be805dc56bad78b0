"""Codecs with the rule's weights, and what they compute on the way, for the golden tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden_weights import GOLDEN, SALT, manifest, rule_codebook, rule_state_dict
from semanticodec import SemantiCodec, compat
from semanticodec.checkpoints.official import convert_decoder, convert_encoder, official_config
from semanticodec.decoder.unet import PreparedContext

CLIPS = {
    "a": GOLDEN / "pub_a_3p3s_16k.wav",
    "b": GOLDEN / "pub_b_10p24s_16k.wav",
    "c": GOLDEN / "pub_c_25s_16k.wav",
    "d": GOLDEN / "pub_d_2p5s_44k1_stereo.wav",
}
# Parts that a test does not need: left at zero they take neither time nor room.
ENCODER_NETWORKS = ("audiomae.", "encoder.")
DECODER_NETWORKS = ("model.", "first_stage_model.")


def golden(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a golden file."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def max_error(ours: Tensor, reference: np.ndarray) -> float:
    """Return the largest absolute difference of two arrays of one shape."""
    theirs = torch.from_numpy(np.asarray(reference, dtype=np.float32))
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} against {tuple(theirs.shape)}"
    return float((ours - theirs).abs().max())


def write_official(
    folder: Path,
    token_rate: int,
    *,
    encoder_zeros: tuple[str, ...] = (),
    decoder_zeros: tuple[str, ...] = (),
) -> Path:
    """Write encoder.ckpt, decoder.ckpt and codebook_4096.npy."""
    for file, zeros in (("encoder", encoder_zeros), ("decoder", decoder_zeros)):
        state = rule_state_dict(SALT, file, manifest(token_rate), zeros=zeros)
        torch.save(state, folder / f"{file}.ckpt")
    np.save(folder / "codebook_4096.npy", rule_codebook(SALT, token_rate, 4096))
    return folder


def load(folder: Path, token_rate: int = 100, vocab_size: int = 4096) -> SemantiCodec:
    """Return the codec of files that `write_official` wrote."""
    return SemantiCodec.from_official(
        encoder=folder / "encoder.ckpt",
        decoder=folder / "decoder.ckpt",
        codebook=folder / f"codebook_{vocab_size}.npy",
        token_rate=token_rate,
    )


def build(token_rate: int, vocab_size: int = 4096, *, zeros: tuple[str, ...] = ()) -> SemantiCodec:
    """Return the codec without any files between: the weights exist once, in memory."""
    keys = manifest(token_rate)
    state = convert_encoder(rule_state_dict(SALT, "encoder", keys, zeros=zeros), token_rate)
    state |= convert_decoder(rule_state_dict(SALT, "decoder", keys, zeros=zeros), token_rate)
    centroids = torch.from_numpy(rule_codebook(SALT, token_rate, vocab_size))
    state[f"encoder.semantic.codebook_{vocab_size}"] = centroids
    config = official_config(token_rate, vocab_size)
    return SemantiCodec._from_state(config, lambda: state, "cpu", torch.float32)


class Remembered:
    """Stands for a module's forward pass: what it was given before, it does not compute again.

    Args:
        module: module without state, from which this takes over.
    """

    def __init__(self, module: nn.Module) -> None:
        self._forward = module.forward
        self._outputs: dict[bytes, Tensor] = {}
        module.forward = self

    def __call__(self, *inputs: Tensor | PreparedContext) -> Tensor:
        digest = hashlib.sha256()
        for tensor in flat_tensors(inputs):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
        key = digest.digest()
        if key not in self._outputs:
            self._outputs[key] = self._forward(*inputs).clone()
        return self._outputs[key].clone()


def flat_tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield all tensors of nested tuples, in order."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        else:
            parts = (value.keys_values, value.aligned) if hasattr(value, "aligned") else value
            yield from flat_tensors(parts)


@dataclass
class Taps:
    """What one encoder pass over a sound file left behind, one entry per window."""

    tokens: Tensor
    fbank: list[Tensor] = field(default_factory=list)
    audiomae: list[Tensor] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)
    lstm_in: list[Tensor] = field(default_factory=list)
    lstm_out: list[Tensor] = field(default_factory=list)
    linear: list[Tensor] = field(default_factory=list)


def tap_fbank(codec: SemantiCodec, path: Path) -> Tensor:
    """Return the filter bank of a file's windows in a row by the release's rules; no codes."""
    fbanks: list[Tensor] = []

    def recorded(fbank: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
        fbanks.append(fbank[0])
        codes = torch.zeros(1, codec.format.positions_per_window, dtype=torch.long)
        return codes, codes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec.encoder, "encode", recorded)
        compat.encode_file(codec, path)
    return torch.cat(fbanks)


def tap_encoder(codec: SemantiCodec, path: Path) -> Taps:
    """Encode a file by the release's rules and keep the intermediate results."""
    taps = Taps(tokens=torch.empty(0))
    encoder = codec.encoder
    encode = encoder.encode

    def recorded(fbank: Tensor, vocab_size: int, **options: bool) -> tuple[Tensor, Tensor]:
        semantic, acoustic = encode(fbank, vocab_size, **options)
        taps.fbank.append(fbank[0])
        taps.codes.append(torch.stack([semantic[0], acoustic[0]], dim=-1))
        return semantic, acoustic

    def keep_audiomae(_: nn.Module, __: tuple, output: Tensor) -> None:
        taps.audiomae.append(output[0])

    def keep_lstm(_: nn.Module, inputs: tuple, output: tuple) -> None:
        taps.lstm_in.append(inputs[0][0])
        taps.lstm_out.append(output[0][0])

    def keep_linear(_: nn.Module, __: tuple, output: Tensor) -> None:
        taps.linear.append(output[0])

    hooks = [
        encoder.audiomae.register_forward_hook(keep_audiomae),
        encoder.acoustic.lstm.register_forward_hook(keep_lstm),
        encoder.acoustic.project.register_forward_hook(keep_linear),
    ]
    encoder.encode = recorded  # type: ignore[method-assign]
    try:
        taps.tokens = compat.encode_file(codec, path)[0]
    finally:
        del encoder.encode
        for hook in hooks:
            hook.remove()
    return taps
