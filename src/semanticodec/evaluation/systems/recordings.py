"""Systems that are recordings: the clips themselves, and a folder of what somebody's codec made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from semanticodec.audio.io import load_audio, seekable_sound
from semanticodec.errors import AudioError, ConfigError, DataError
from semanticodec.evaluation.suites import find_recordings
from semanticodec.evaluation.systems.base import Reconstruction, System, fitted
from semanticodec.evaluation.systems.specs import (
    Spec,
    SystemOptions,
    folder_name,
    limited,
    read_options,
)
from semanticodec.listing import AUDIO_SUFFIXES
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

# Codecs that emit whole frames are off by up to some 60 ms; more is another recording.
MAX_LENGTH_DIFFERENCE_S = 0.1
FINGERPRINT_BYTES = 1 << 16


class GroundTruth(System):
    """The clips themselves: the best that any measure can say."""

    def __init__(self, spec: Spec, device: str) -> None:
        read_options(spec, SystemOptions)
        super().__init__(spec, {})

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the clip itself."""
        return Reconstruction(wav=wav, num_bits=None)


class Folder(System):
    """What a codec that ran elsewhere made of the clips: FOLDER/CLIP.suffix.

    Args:
        spec: specification of the kind `folder`.
        device: not used.
    Raises:
        ConfigError: no such folder, or no recordings in it.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """Where the recordings are, and what the codec spent per second where it is known.

        Attributes:
            path: folder with one recording per clip, named as the clip is.
            kbps: kilobits per second.
        """

        path: str
        kbps: float | None = limited(0, default=None)

    def __init__(self, spec: Spec, device: str) -> None:
        options = read_options(spec, Folder.Options)
        folder = Path(options.path)
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder; give one with a recording for every clip")
        self._files: dict[str, list[Path]] = {}
        for path in find_recordings(folder):
            name = path.relative_to(folder).with_suffix("").as_posix()
            self._files.setdefault(name, []).append(path)
        if not self._files:
            raise ConfigError(
                f"the folder {folder} holds no recordings; give one with "
                f"{', '.join(AUDIO_SUFFIXES)} files"
            )
        self._folder = folder_name(str(folder))
        self._kbps = options.kbps
        details = {
            "folder": self._folder,
            "num_recordings": len(self._files),
            "fingerprint": _fingerprint(self._files),
        }
        super().__init__(spec, details)

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the folder's recording of a clip at 16 kHz, cut or padded to the clip's length.

        Raises:
            DataError: no recording of the clip, several, or one that cannot be read or is of
                another length.
        """
        path = self._path(clip)
        try:
            samples = load_audio(path.read_bytes()).numpy()
        except (AudioError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{clip.name} in the folder {self._folder}: {reason}") from error
        warnings = _format_warnings(path)
        surplus = len(samples) - len(wav)
        if abs(surplus) > MAX_LENGTH_DIFFERENCE_S * SAMPLE_RATE:
            raise DataError(
                f"{clip.name} has {len(samples)} samples in the folder {self._folder}, the clip "
                f"has {len(wav)}: more than {MAX_LENGTH_DIFFERENCE_S} s apart, so they are not the "
                "same recording"
            )
        if surplus:
            what = f"{surplus} samples were cut" if surplus > 0 else f"{-surplus} zeros were added"
            warnings.append(f"{what} at the end to match the clip's {len(wav)} samples")
        num_bits = None
        if self._kbps is not None:
            num_bits = round(1000 * self._kbps * len(wav) / SAMPLE_RATE)
        wav_out = fitted(samples, len(wav))
        return Reconstruction(wav=wav_out, num_bits=num_bits, warnings=tuple(warnings))

    def _path(self, clip: Clip) -> Path:
        found = self._files.get(clip.name, [])
        if not found:
            raise DataError(
                f"{clip.name} has no recording in the folder {self._folder}; "
                f"add {clip.name}{AUDIO_SUFFIXES[0]} (or another audio suffix)"
            )
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DataError(
                f"{clip.name} has several recordings in the folder {self._folder} ({names}); "
                "leave one"
            )
        return found[0]


def _format_warnings(path: Path) -> list[str]:
    warnings = []
    with seekable_sound(path) as sound:
        rate, channels = sound.samplerate, sound.channels
    if rate != SAMPLE_RATE:
        warnings.append(f"resampled from {rate} Hz to {SAMPLE_RATE} Hz")
    if channels > 1:
        warnings.append(f"{channels} channels were averaged")
    return warnings


def _fingerprint(files: Mapping[str, Sequence[Path]]) -> str:
    """Return what names the recordings: made from their names, sizes and first bytes."""
    digest = hashlib.sha256()
    for name, paths in sorted(files.items()):
        for path in paths:
            with path.open("rb") as file:
                head = file.read(FINGERPRINT_BYTES)
            digest.update(f"{name}|{path.suffix}|{path.stat().st_size}|".encode() + head)
    return digest.hexdigest()[:16]
