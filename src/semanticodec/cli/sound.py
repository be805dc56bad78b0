"""Write decoded sound while it is being decoded: 16-bit wav or flac, to a file or to stdout."""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.outputs import written_whole
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FORMATS = ("wav", "flac")
PEAK = 32767


def sound_format(target: Path | None, wanted: str | None) -> str:
    """Return `wav` or `flac`: what the user asks for, or what the suffix says.

    Raises:
        ConfigError: a suffix of another format.
    """
    if wanted is not None or target is None:
        return wanted or FORMATS[0]
    name = target.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise ConfigError(f"{target} has no suffix .wav or .flac; give one, or say --format")
    return name


def write_sound(
    target: Path | None,
    blocks: Iterable[Tensor],
    num_samples: int,
    sample_rate: int,
    sound_format: str,
) -> None:
    """Write blocks [..., S] of float samples in [-1, 1] as they come.

    Args:
        target: the file, which appears when it is whole; None for stdout.
        blocks: consecutive blocks, `num_samples` in all.
        num_samples: stands in the header of a wav on stdout, before the samples are there.
        sample_rate: Hz.
        sound_format: `wav` or `flac`.
    """
    if target is None and sound_format == "wav":
        _stream_wav(blocks, num_samples, sample_rate)
        return
    import soundfile

    with (
        written_whole(target) as partial,
        soundfile.SoundFile(
            partial, "w", sample_rate, 1, subtype="PCM_16", format=sound_format.upper()
        ) as sound,
    ):
        for block in blocks:
            sound.write(_to_int16(block))


def _stream_wav(blocks: Iterable[Tensor], num_samples: int, sample_rate: int) -> None:
    with wave.open(sys.stdout.buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.setnframes(num_samples)
        for block in blocks:
            sound.writeframesraw(_to_int16(block).astype("<i2").tobytes())
            sys.stdout.buffer.flush()


def _to_int16(block: Tensor) -> np.ndarray:
    import numpy as np

    samples = block.detach().cpu().numpy().reshape(-1)
    return np.round(np.clip(samples, -1, 1) * PEAK).astype(np.int16)
