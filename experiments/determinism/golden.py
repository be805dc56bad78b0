"""`python -m experiments.determinism.golden FILE`: the built-in model's codes of two clips.

The tests hold the file against the package: codes that change without a new model break the
`.smtc` files and the language models of everybody.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from experiments.determinism.clips import clip
from experiments.determinism.compare import acoustic_nearest, semantic_nearest
from semanticodec import SemantiCodec
from semanticodec.files import atomic_path

TOKEN_RATES = (100, 50, 25)
NUM_CLIPS = 2
NUM_SAMPLES = 40_960


def golden_clips() -> torch.Tensor:
    """Return the clips [2, 1, S], 2.56 s each."""
    clips = [clip(number, NUM_SAMPLES) for number in range(NUM_CLIPS)]
    return torch.from_numpy(np.stack(clips)).unsqueeze(1)


def digest(clips: torch.Tensor) -> str:
    """Return the SHA-256 of the samples."""
    return hashlib.sha256(clips.numpy().astype("<f4").tobytes()).hexdigest()


def golden_arrays(codec: SemantiCodec) -> dict[str, np.ndarray]:
    """Return codes [2, L] of both streams, and the gap of every position to its runner-up."""
    clips = golden_clips()
    codes, latents = codec.encode(clips), codec.encode_latent(clips)
    shape = codes.semantic.shape
    return {
        "semantic": codes.semantic.numpy().astype(np.uint16),
        "acoustic": codes.acoustic.numpy().astype(np.uint16),
        "semantic_gap": _gaps(semantic_nearest(codec, latents.semantic).gaps, shape),
        "acoustic_gap": _gaps(acoustic_nearest(codec, latents.acoustic).gaps, shape),
    }


def _gaps(gaps: torch.Tensor, shape: torch.Size) -> np.ndarray:
    return gaps.reshape(shape).numpy().astype(np.float32)


def write(output: Path) -> None:
    """Write the npz."""
    arrays = {"clips": np.array(digest(golden_clips()))}
    for token_rate in TOKEN_RATES:
        codec = SemantiCodec.from_pretrained(token_rate=token_rate)
        for name, values in golden_arrays(codec).items():
            arrays[f"{name}_{token_rate}"] = values
    with atomic_path(output) as path, path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
