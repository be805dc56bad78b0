"""Files that visitors hand over, read within limits: none of them freezes the page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from semanticodec.codes import Codes
from semanticodec.container.reader import read_header
from semanticodec.errors import AudioError, CodesError, SemantiCodecError
from semanticodec.pages.short_sound import read_short_sound
from semanticodec.token_format import SAMPLE_RATE


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """How much one visitor may hand over.

    Attributes:
        max_seconds: longest sound, in seconds.
        max_bytes: largest file.
    """

    max_seconds: float = 120.0
    max_bytes: int = 64_000_000

    def read_sound(self, path: str | None) -> Float[np.ndarray, " S"]:
        """Return an uploaded sound at 16 kHz; reading stops where it is too long.

        Args:
            path: file of any format that libsndfile reads; None: there is none yet.
        Raises:
            AudioError: none, no sound, too long or too large.
        """
        if path is None:
            raise AudioError("there is no sound yet; record one or upload a file")
        name = Path(path).name
        return read_short_sound(self._read(Path(path), AudioError), name, self.max_seconds)

    def read_codes(self, path: str | None) -> Codes:
        """Return the codes of an uploaded `.smtc` file.

        Args:
            path: the file; None: there is none yet.
        Raises:
            CodesError: none, too long or too large.
            ContainerError: not a valid file.
        """
        if path is None:
            raise CodesError("there is no .smtc file yet; upload one")
        file = self._read(Path(path), CodesError)
        length = read_header(file).num_samples
        file.seek(0)
        # A header may be silent about the length, or wrong: the blocks decide.
        codes = None if length and self._is_too_long(length) else Codes.load(file)
        if codes is None or self._is_too_long(codes.num_samples[0]):
            raise CodesError(
                f"{Path(path).name} holds more than {self.max_seconds:g} s of sound, the limit of "
                "this page; use `semanticodec decode`, which takes any length"
            )
        return codes

    def _is_too_long(self, num_samples: int) -> bool:
        return num_samples > self.max_seconds * SAMPLE_RATE

    def _read(self, path: Path, error: type[SemantiCodecError]) -> io.BytesIO:
        """Return a file in memory; messages call it what its owner does, without the folder."""
        size = path.stat().st_size
        if size > self.max_bytes:
            raise error(
                f"{path.name} has {size / 1e6:.0f} MB; this page takes {self.max_bytes / 1e6:g} MB"
            )
        file = io.BytesIO(path.read_bytes())
        file.name = path.name
        return file
