"""`python -m experiments.determinism.measure`: what one setting computes, in a process of its own.

The instruction set is chosen before torch is loaded, so that a setting needs its own process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from semanticodec import SemantiCodec
from semanticodec.files import atomic_path

NUM_DECODED = 2
SEED = 0


class Measured(NamedTuple):
    """What one setting computed of N clips of a window each; behind a clip's end are zeros.

    Attributes:
        semantic_codes: [N, L].
        acoustic_codes: [N, L].
        semantic_latents: what the semantic quantizer is given, [N, L, D].
        acoustic_latents: what the acoustic quantizer is given, [N, L, D].
        wav: the first two clips, decoded from the codes of the first setting, [2, 1, S].
        torch_version: of the process.
    """

    semantic_codes: np.ndarray
    acoustic_codes: np.ndarray
    semantic_latents: np.ndarray
    acoustic_latents: np.ndarray
    wav: np.ndarray
    torch_version: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Measured:
        """Read what `measure` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls._fields})


def measure(clips: Path, output: Path, reference: Path) -> None:
    """Encode all clips as one batch, and decode the first ones.

    Args:
        clips: npz with one array [S] per clip.
        output: the npz to write.
        reference: what the first setting wrote, whose codes are decoded; `output` for itself.
    """
    with np.load(clips, allow_pickle=False) as arrays:
        wavs = [torch.from_numpy(arrays[name]) for name in arrays.files]
    codec = SemantiCodec.from_pretrained()
    codes = codec.encode(wavs)
    latents = codec.encode_latent(wavs)
    ids = torch.stack([codes.semantic, codes.acoustic], dim=1)
    if reference != output:
        first = Measured.load(reference)
        ids = torch.from_numpy(np.stack([first.semantic_codes, first.acoustic_codes], axis=1))
    wav = codec.decode(ids[:NUM_DECODED], seed=SEED)
    measured = Measured(
        semantic_codes=codes.semantic.numpy(),
        acoustic_codes=codes.acoustic.numpy(),
        semantic_latents=latents.semantic.numpy(),
        acoustic_latents=latents.acoustic.numpy(),
        wav=wav.numpy(),
        torch_version=np.array(torch.__version__),
    )
    with atomic_path(output) as path, path.open("wb") as file:
        np.savez(file, **measured._asdict())


if __name__ == "__main__":
    measure(*(Path(argument) for argument in sys.argv[1:]))
