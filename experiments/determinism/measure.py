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
from semanticodec.checkpoints.index import DEFAULT_MODEL, read_index
from semanticodec.checkpoints.pretrained import read_setting
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


class Choice(NamedTuple):
    """What a user of the built-in model chooses: one codec.

    Attributes:
        token_rate: tokens per second.
        semantic_vocab_size: rows of the semantic codebook.
    """

    token_rate: int
    semantic_vocab_size: int

    def codec(self) -> SemantiCodec:
        """Return the codec."""
        return SemantiCodec.from_pretrained(**self._asdict())

    def file(self, folder: Path) -> Path:
        """Return the file for what `measure` finds with it."""
        return folder / f"{self.token_rate}_{self.semantic_vocab_size}.npz"


def all_choices() -> list[Choice]:
    """Return every token rate of the built-in model with each of its semantic vocabularies."""
    rates = map(int, read_index(DEFAULT_MODEL)["token_rates"])
    configs = [read_setting(DEFAULT_MODEL, rate)[0] for rate in rates]
    return [
        Choice(config.token_rate, size)
        for config in configs
        for size in config.encoder.semantic.vocab_sizes
    ]


def measure(clips: Path, output: Path, reference: Path) -> None:
    """Encode all clips as one batch and decode the first ones with every codec.

    Args:
        clips: npz with one array [S] per clip.
        output: the folder to write.
        reference: what the first setting wrote, whose codes are decoded; `output` for itself.
    """
    with np.load(clips, allow_pickle=False) as arrays:
        wavs = [torch.from_numpy(arrays[name]) for name in arrays.files]
    output.mkdir(exist_ok=True)
    for choice in all_choices():
        first = None if reference == output else Measured.load(choice.file(reference))
        measured = measure_codec(choice.codec(), wavs, first)
        with atomic_path(choice.file(output)) as path, path.open("wb") as file:
            np.savez(file, **measured._asdict())


def measure_codec(
    codec: SemantiCodec, wavs: list[torch.Tensor], first: Measured | None
) -> Measured:
    """Return what one codec computes; it decodes the codes of `first`, or its own."""
    latents = codec.encode_latent(wavs)
    codes = codec.quantize(latents)  # those of `encode`, without a second pass
    semantic, acoustic = codes.semantic.numpy(), codes.acoustic.numpy()
    decoded = (first.semantic_codes, first.acoustic_codes) if first else (semantic, acoustic)
    return Measured(
        semantic_codes=semantic,
        acoustic_codes=acoustic,
        semantic_latents=latents.semantic.numpy(),
        acoustic_latents=latents.acoustic.numpy(),
        wav=codec.decode(np.stack(decoded, axis=1)[:NUM_DECODED], seed=SEED).numpy(),
        torch_version=np.array(torch.__version__),
    )


if __name__ == "__main__":
    measure(*(Path(argument) for argument in sys.argv[1:]))
