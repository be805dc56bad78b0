"""Random weights in the official checkpoint layout, made by a rule instead of stored.

Every tensor is a pure function of (salt, file, key, shape), so golden vectors computed with
the official code can be checked without shipping or downloading a single trained weight.
`manifest(token_rate)` lists the keys of `encoder.ckpt` and `decoder.ckpt`.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / "assets" / "golden"
SALT = "pub"
SCALE_FACTOR = 0.8
BASE_WIDTH = 768
UNUSED_PREFIXES = {
    "encoder": ("audiomae.model.decoder", "audiomae.model.mask_token"),
    "decoder": (
        "model_ema.",
        "first_stage_model.encoder.",
        "first_stage_model.quant_conv.",
        "logvar",
    ),
}
# First substring that occurs in the key decides the gain of a weight matrix; 0.7 if none does.
GAINS = (
    ("patch_embed", 4.0),
    (".weight_ih_l", 3.0),
    ("encoder_output_linear", 3.0),
    (".to_q.", 1.5),
    (".to_k.", 1.5),
    (".to_v.", 1.5),
    (".to_out.", 1.5),
    ("first_stage_model.decoder.conv_out", 3.0),
    ("vocoder.ups", 1.5),
    ("vocoder.conv_post", 0.4),
    ("vocoder", 1.0),
)
DEFAULT_GAIN = 0.7

# file ("encoder" | "decoder") -> key -> (dtype name, shape)
Manifest = dict[str, dict[str, tuple[str, tuple[int, ...]]]]


@cache
def manifest(token_rate: int) -> Manifest:
    """Keys, types and shapes of the two official files at 25, 50 or 100 tokens per second."""
    text = gzip.decompress((GOLDEN / f"manifest_{token_rate}.json.gz").read_bytes())
    return {
        file: {key: (dtype, tuple(shape)) for key, (dtype, shape) in keys.items()}
        for file, keys in json.loads(text).items()
    }


def gaussian(seed: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 standard normal numbers named by a string."""
    bits = np.random.PCG64(zlib.crc32(seed.encode("utf-8")))
    return np.random.Generator(bits).standard_normal(shape, dtype=np.float32)


def rule_tensor(salt: str, file: str, key: str, shape: tuple[int, ...]) -> Tensor:
    """Value of one key of `file` ("encoder" or "decoder"), except the `exceptions` below."""
    draw = gaussian(f"{salt}|{file}|{key}", shape)
    if "pos_embed" in key or key.endswith("token"):
        return torch.from_numpy(draw)
    if key == "quantizer._codebook.embed":
        draw *= np.float32(0.5)
    elif "bias" in key:
        draw *= np.float32(0.05)
    elif len(shape) == 1:
        draw *= np.float32(0.1)
        draw += np.float32(1.0)
    else:
        gain = next((value for part, value in GAINS if part in key), DEFAULT_GAIN)
        draw *= np.float32(gain / math.sqrt(math.prod(shape[1:])))
    return torch.from_numpy(draw)


def exceptions(salt: str, file: str, shapes: dict[str, tuple[str, tuple[int, ...]]]) -> dict:
    """Keys of `file` whose value is not random; `embed_avg` is left to the caller."""
    if file == "encoder":
        return {
            "quantizer._codebook.initted": torch.ones(1),
            "quantizer._codebook.cluster_size": torch.ones(
                shapes["quantizer._codebook.cluster_size"][1]
            ),
        }
    schedule = np.load(GOLDEN / "schedule_linear_0.0015_0.0195.npz")
    return {name: torch.from_numpy(schedule[name]) for name in schedule.files} | {
        "scale_factor": torch.tensor(SCALE_FACTOR),
        "logvar": torch.zeros(1000),
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(0, dtype=torch.int32),
    }


def rule_state_dict(
    salt: str,
    file: str,
    manifest: Manifest,
    unused: Literal["zeros", "rule"] = "zeros",
    zeros: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """State dict of `encoder.ckpt` or `decoder.ckpt` in the manifest's order.

    With `unused="zeros"` the keys that inference ignores are views of one zero (no memory, and
    no bytes in a saved file); with `"rule"` they are drawn like the others. So are the keys that
    begin with one of `zeros`, for tests that do not need those parts.
    """
    fixed = exceptions(salt, file, manifest[file])
    zeros = zeros + (UNUSED_PREFIXES[file] if unused == "zeros" else ())
    state: dict[str, Tensor] = {}
    for key, (dtype, shape) in manifest[file].items():
        if key in fixed:
            state[key] = fixed[key]
        elif key == "quantizer._codebook.embed_avg":
            state[key] = rule_tensor(salt, file, "quantizer._codebook.embed", shape)
        elif key.startswith(zeros):
            state[key] = torch.zeros((), dtype=getattr(torch, dtype)).expand(shape)
        else:
            state[key] = rule_tensor(salt, file, key, shape)
    return state


def rule_codebook(salt: str, token_rate: int, vocab_size: int) -> np.ndarray:
    """Semantic codebook, float32 [vocab_size, 768 K] with K = 100 / token_rate."""
    shape = (vocab_size, BASE_WIDTH * 100 // token_rate)
    return np.float32(0.5) * gaussian(f"{salt}|codebook|{token_rate}|{vocab_size}", shape)


def rule_noise(salt: str, window: int, draw: int, num_frames: int = 256) -> Tensor:
    """Noise of one decode window: draw 0 starts the latent, draw i + 1 belongs to step i."""
    return torch.from_numpy(gaussian(f"{salt}|noise|{window}|{draw}", (1, 8, num_frames, 16)))
