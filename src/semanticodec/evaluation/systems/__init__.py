"""Systems to evaluate: our codec and its bounds, recordings, programs, and other people's models.

`open_system("model=FOLDER,steps=25")` gives something with a name and `reconstruct`; `KINDS` is
the table of everything that can be opened.
"""

from __future__ import annotations

import torch

from semanticodec.errors import ConfigError
from semanticodec.evaluation.systems import model, peers, programs, recordings
from semanticodec.evaluation.systems.base import Kind, Reconstruction, Spec, System, parse_spec

__all__ = ["KINDS", "Kind", "Reconstruction", "Spec", "System", "open_system", "parse_spec"]

KINDS: dict[str, Kind] = {
    **model.KINDS,
    **recordings.KINDS,
    **programs.KINDS,
    **peers.KINDS,
}


def open_system(spec: str, *, threads: int = 1, device: str = "cpu") -> System:
    """Return the system of a specification, with its weights loaded and its programs found.

    Args:
        spec: see `base`; `KINDS` says what each kind takes.
        threads: CPU threads of torch, for this whole process; results are the same in every
            process that has as many.
        device: where models compute, such as `cpu` or `cuda`.
    Raises:
        ConfigError: an unknown kind, setting, option or value, or a folder that is not there.
        CheckpointError: weights that are missing, damaged or of another model.
        MissingDependencyError: a package or program that is not installed.
    """
    parsed = parse_spec(spec)
    kind = KINDS.get(parsed.kind)
    if kind is None:
        raise ConfigError(
            f"the system '{parsed.kind}' does not exist; choose from {', '.join(KINDS)}"
        )
    kind.check(parsed)
    torch.set_num_threads(threads)
    return kind.open(parsed, device)
