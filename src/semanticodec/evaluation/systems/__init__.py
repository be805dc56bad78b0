"""Systems to evaluate: our codec and its bounds, recordings, programs, and other people's models.

`open_system("model:path=FOLDER,steps=25")` gives something with a name and `reconstruct`; `KINDS`
is the table of everything that can be opened, and `specs` says how it is written.
"""

from __future__ import annotations

from typing import Protocol

import torch

from semanticodec.errors import ConfigError
from semanticodec.evaluation.systems.base import Reconstruction, System
from semanticodec.evaluation.systems.ladder import Autoencoder, TrueMel
from semanticodec.evaluation.systems.model import Model, Oracle, SemanticOnly
from semanticodec.evaluation.systems.peers import Dac, Encodec
from semanticodec.evaluation.systems.programs import Codec2, Opus, Speex
from semanticodec.evaluation.systems.recordings import Folder, GroundTruth
from semanticodec.evaluation.systems.specs import Spec, SystemOptions, parse_spec

__all__ = ["KINDS", "Reconstruction", "Spec", "System", "open_system", "parse_spec"]


class Kind(Protocol):
    """A kind of system: its options, and a call that opens it on a device."""

    @property
    def Options(self) -> type[SystemOptions]:
        """What a specification may hold."""
        ...

    def __call__(self, spec: Spec, device: str) -> System:
        """Return the system of a specification."""
        ...


KINDS: dict[str, Kind] = {
    "model": Model,
    "oracle": Oracle,
    "semantic-only": SemanticOnly,
    "vocoder": TrueMel,
    "vae": Autoencoder,
    "ground-truth": GroundTruth,
    "folder": Folder,
    "opus": Opus,
    "codec2": Codec2,
    "speex": Speex,
    "encodec": Encodec,
    "dac": Dac,
}


def open_system(spec: str, *, threads: int = 1, device: str = "cpu") -> System:
    """Return the system of a specification, with its weights loaded and its programs found.

    Args:
        spec: specification; see `specs`.
        threads: CPU threads of torch, for this whole process; results are the same in every
            process that has as many.
        device: device of the models, such as `cpu` or `cuda`.
    Raises:
        ConfigError: an unknown kind, option or value, or a folder that is not there.
        CheckpointError: weights that are missing, damaged or of another model.
        MissingDependencyError: a package or program that is not installed.
    """
    parsed = parse_spec(spec)
    kind = KINDS.get(parsed.kind)
    if kind is None:
        raise ConfigError(
            f"the system '{parsed.kind}' does not exist; choose from {', '.join(KINDS)}"
        )
    torch.set_num_threads(threads)
    return kind(parsed, device)
