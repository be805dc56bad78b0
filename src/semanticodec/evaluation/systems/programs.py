"""Codecs that are programs: Opus, Codec 2 and Speex as Debian packages them.

Delays are constants that were measured, not searched per clip: the waveforms of low-rate codecs
resemble the original's so little that a search over one clip finds a wrong pitch period.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float

from semanticodec.errors import DataError, MissingDependencyError
from semanticodec.evaluation.systems import ogg
from semanticodec.evaluation.systems.base import (
    Detail,
    Reconstruction,
    ReconstructionError,
    System,
    fitted,
    resampled,
)
from semanticodec.evaluation.systems.specs import Spec, SystemOptions, limited, one_of, read_options
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from semanticodec.evaluation.suites import Clip

DEBIAN_PACKAGES = {
    "opusenc": "opus-tools",
    "opusdec": "opus-tools",
    "c2enc": "codec2",
    "c2dec": "codec2",
    "speexenc": "speex",
    "speexdec": "speex",
}
TIMEOUT_S = 60.0  # for starting; a program gets the clip's own duration on top
VERSION_TIMEOUT_S = 10.0
NUM_OGG_HEADERS = 2  # identification and comments, in Opus and in Speex
MESSAGE_LENGTH = 200


class ProgramSystem(System):
    """A pair of programs, one that encodes and one that decodes.

    Args:
        spec: specification of one of the kinds of this file.
        programs: names of the encoder and the decoder.
        details: settings for reports.
    Raises:
        MissingDependencyError: a program is not installed.
    """

    def __init__(self, spec: Spec, programs: Sequence[str], details: Mapping[str, Detail]) -> None:
        paths = {name: _find(name, spec.kind) for name in programs}
        versions = {name: _version(path) for name, path in paths.items()}
        known = {name: version for name, version in versions.items() if version}
        super().__init__(spec, {**details, "programs": known} if known else details)
        self._paths = paths

    def process(self, wav: Float[np.ndarray, " S"], clip: Clip) -> Reconstruction:
        """Return the clip after both programs, its delay taken out, and the bits of the payload.

        Raises:
            ReconstructionError: a program fails, hangs, or writes what is no codec's output.
        """
        with tempfile.TemporaryDirectory(prefix="semanticodec-") as folder:
            decoded, num_bits = self.round_trip(wav, Path(folder))
        if len(decoded) < len(wav):
            decoder = list(self._paths)[-1]
            raise ReconstructionError(f"{decoder} gave {len(decoded)} of {len(wav)} samples")
        return Reconstruction(wav=fitted(decoded, len(wav)), num_bits=num_bits)

    @abstractmethod
    def round_trip(
        self, wav: Float[np.ndarray, " S"], folder: Path
    ) -> tuple[Float[np.ndarray, " S2"], int]:
        """Return the decoded wav without delay, at least as long, and the payload's bits.

        Args:
            wav: float32, 16 kHz mono.
            folder: empty, for files on the way.
        """

    def run(self, folder: Path, duration_s: float, program: str, *arguments: str) -> None:
        """Run one of the programs inside a folder.

        Raises:
            ReconstructionError: it cannot be started, fails or hangs.
        """
        timeout_s = TIMEOUT_S + duration_s
        messages = folder / "messages.txt"  # a file: nothing can block on a pipe
        try:
            with messages.open("wb") as file:
                finished = subprocess.run(
                    [self._paths[program], *arguments],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=timeout_s,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise ReconstructionError(
                f"{program} did not finish in {timeout_s:.0f} s and was stopped"
            ) from error
        except OSError as error:
            raise ReconstructionError(f"{program} cannot be started: {error.strerror}") from error
        if finished.returncode:
            said = " ".join(messages.read_text(errors="replace").split())[-MESSAGE_LENGTH:]
            raise ReconstructionError(
                f"{program} failed with status {finished.returncode}: {said or 'no message'}"
            )


class Opus(ProgramSystem):
    """Opus at a constant bit rate, in its longest frames: the least overhead per frame.

    The file says how many samples to skip, and `opusdec` does: there is no delay left (the
    correlation with the original peaks within 1 sample).
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The bit rate."""

        kbps: float = limited(6, 256)

    def __init__(self, spec: Spec, device: str) -> None:
        self.kbps = read_options(spec, Opus.Options).kbps
        super().__init__(spec, ("opusenc", "opusdec"), {"kbps": self.kbps, "frame_ms": 60})

    def round_trip(
        self, wav: Float[np.ndarray, " S"], folder: Path
    ) -> tuple[Float[np.ndarray, " S2"], int]:
        """Return what `opusdec` makes of it, exactly as long, and the bits of the packets."""
        duration_s = _write_wav(folder / "clip.wav", wav)
        settings = ("--bitrate", f"{self.kbps:g}", "--hard-cbr", "--framesize", "60")
        self.run(folder, duration_s, "opusenc", *settings, "clip.wav", "clip.opus")
        self.run(
            folder, duration_s, "opusdec", "--rate", str(SAMPLE_RATE), "clip.opus", "decoded.wav"
        )
        pages = _read_pages(folder / "clip.opus", "opusenc")
        return _read_wav(folder / "decoded.wav", "opusdec"), _payload_bits(pages, "opusenc")


class Speex(ProgramSystem):
    """Wideband Speex at a quality from 0 (4 kbps) to 10."""

    # Encoder and decoder look ahead by 143 + 80 samples. `speexdec` takes them out by the sample
    # counts of the Ogg pages, but only if the audio fills more than one page. Correlation over
    # lengths of 0.1 to 6 s at qualities 0, 4 and 8: 221 samples late with one page (255 packets
    # or 4 kB), 2 early with more; the high-pass filter accounts for the 2.
    ONE_PAGE_DELAY = 223
    # Its last samples are cut wrongly as well; with this much silence they are not the clip's.
    PADDING = 320

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The quality."""

        quality: int = limited(0, 10, default=0)

    def __init__(self, spec: Spec, device: str) -> None:
        self.quality = read_options(spec, Speex.Options).quality
        super().__init__(spec, ("speexenc", "speexdec"), {"quality": self.quality, "band": "wide"})

    def round_trip(
        self, wav: Float[np.ndarray, " S"], folder: Path
    ) -> tuple[Float[np.ndarray, " S2"], int]:
        """Return what `speexdec` makes of it, and the bits of the packets."""
        duration_s = _write_wav(folder / "clip.wav", np.pad(wav, (0, self.PADDING)))
        settings = ("-w", "--quality", str(self.quality))
        self.run(folder, duration_s, "speexenc", *settings, "clip.wav", "clip.spx")
        self.run(folder, duration_s, "speexdec", "clip.spx", "decoded.wav")
        pages = _read_pages(folder / "clip.spx", "speexenc")
        is_one_page = len(pages) == NUM_OGG_HEADERS + 1
        decoded = _read_wav(folder / "decoded.wav", "speexdec")
        delay = self.ONE_PAGE_DELAY if is_one_page else 0
        return decoded[delay:], _payload_bits(pages, "speexenc")


class Mode(NamedTuple):
    """A mode of Codec 2; samples are at 8 kHz.

    Attributes:
        frame_samples: samples of one frame.
        frame_bits: bits that a frame really has; files round them up to bytes.
        delay: samples from input to output.
    """

    frame_samples: int
    frame_bits: int
    delay: int


# Delays: where the log energies (20 ms Hann) of 20 speech clips and of their reconstructions
# correlate best, in steps of 1 ms; the mel distance is lowest there as well. Frame 700C: 28 bits,
# in files 32.
CODEC2_MODES = {
    "700C": Mode(320, 28, 240),
    "1200": Mode(320, 48, 160),
    "3200": Mode(160, 64, 160),
}


class Codec2(ProgramSystem):
    """Codec 2 at 8 kHz, resampled on both sides."""

    SAMPLE_RATE = 8_000

    @dataclass(frozen=True, kw_only=True)
    class Options(SystemOptions):
        """The mode."""

        mode: str = one_of(CODEC2_MODES)

    def __init__(self, spec: Spec, device: str) -> None:
        self.mode_name = read_options(spec, Codec2.Options).mode
        self.mode = CODEC2_MODES[self.mode_name]
        super().__init__(
            spec, ("c2enc", "c2dec"), {"mode": self.mode_name, "sample_rate": self.SAMPLE_RATE}
        )

    def round_trip(
        self, wav: Float[np.ndarray, " S"], folder: Path
    ) -> tuple[Float[np.ndarray, " S2"], int]:
        """Return what `c2dec` makes of it, and the bits of the frames without byte padding."""
        narrow = resampled(wav, SAMPLE_RATE, self.SAMPLE_RATE)
        length = len(narrow) + self.mode.delay
        # c2enc drops a frame that is not full.
        num_frames = -(-length // self.mode.frame_samples)
        padded = fitted(narrow, num_frames * self.mode.frame_samples)
        samples = np.round(np.clip(padded, -1, 1) * 32767).astype("<i2")
        samples.tofile(folder / "clip.raw")
        duration_s = len(wav) / SAMPLE_RATE
        # Not .c2: that suffix would add a header.
        self.run(folder, duration_s, "c2enc", self.mode_name, "clip.raw", "clip.bit")
        self.run(folder, duration_s, "c2dec", self.mode_name, "clip.bit", "decoded.raw")
        expected = num_frames * -(-self.mode.frame_bits // 8)
        num_bytes = len(_read(folder / "clip.bit", "c2enc"))
        if num_bytes != expected:
            raise ReconstructionError(f"c2enc wrote {num_bytes} bytes where {expected} are due")
        decoded = _read(folder / "decoded.raw", "c2dec")
        late = np.frombuffer(decoded[: len(decoded) // 2 * 2], "<i2").astype(np.float32) / 32768
        aligned = late[self.mode.delay : length]
        if len(aligned) < len(narrow):
            raise ReconstructionError(f"c2dec gave {len(late)} of {length} samples")
        wide = resampled(aligned, self.SAMPLE_RATE, SAMPLE_RATE)
        return wide, num_frames * self.mode.frame_bits


def _find(program: str, kind: str) -> str:
    path = shutil.which(program)
    if path is None:
        package = DEBIAN_PACKAGES[program]
        raise MissingDependencyError(
            f"the system '{kind}' needs the program {program}, which is not on the PATH; "
            f"on Debian and Ubuntu the package {package} brings it: apt install {package}"
        )
    return path


def _version(path: str) -> str | None:
    """Return the first line of what a program says to --version; Codec 2's say nothing."""
    try:
        finished = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = finished.stdout.decode(errors="replace").strip()
    return said.splitlines()[0] if said and not finished.returncode else None


def _write_wav(path: Path, wav: Float[np.ndarray, " S"]) -> float:
    """Write 16-bit PCM and return its duration in seconds."""
    soundfile.write(path, np.clip(wav, -1, 1), SAMPLE_RATE, subtype="PCM_16")
    return len(wav) / SAMPLE_RATE


def _read(path: Path, program: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReconstructionError(f"{program} wrote no output") from error


def _read_wav(path: Path, program: str) -> Float[np.ndarray, " S"]:
    _read(path, program)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ReconstructionError(f"{program} wrote no readable wav file") from error
    if rate != SAMPLE_RATE or samples.shape[1] != 1:
        raise ReconstructionError(
            f"{program} wrote {samples.shape[1]} channels at {rate} Hz; 1 at {SAMPLE_RATE} is due"
        )
    return samples[:, 0]


def _read_pages(path: Path, program: str) -> list[ogg.Page]:
    try:
        return ogg.read_pages(_read(path, program))
    except DataError as error:
        raise ReconstructionError(f"{program} wrote no valid Ogg stream: {error}") from error


def _payload_bits(pages: list[ogg.Page], program: str) -> int:
    """Return the bits of the audio packets: no page headers, no header packets."""
    try:
        sizes = ogg.packet_sizes(pages)
    except DataError as error:
        raise ReconstructionError(f"{program} wrote no valid Ogg stream: {error}") from error
    if len(sizes) <= NUM_OGG_HEADERS:
        raise ReconstructionError(f"{program} wrote an Ogg stream without audio packets")
    return 8 * sum(sizes[NUM_OGG_HEADERS:])
