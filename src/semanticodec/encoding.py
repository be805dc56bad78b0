"""The encoder over whole recordings: samples -> windows -> Encoder -> codes, features or latents.

    recordings (blocks of samples) -> windows -> fbank -> batches -> Encoder -> RecordingCodes

Windows of one or many recordings go through the encoder together; codes never depend on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.fbank import FRAME_LENGTH, Fbank, window_fbank
from semanticodec.audio.mel import Mel, window_mel
from semanticodec.audio.waveforms import Recording
from semanticodec.audio.windows import STEP_SAMPLES, Window, encode_windows
from semanticodec.encoder.encoder import Encoder
from semanticodec.errors import AudioError
from semanticodec.layers.surroundings import undisturbed
from semanticodec.parallel import in_order
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES, TokenFormat

# More bring nothing: the recurrence, which gains most, advances as many at once
# (`runtimes.onednn.lstm`).
WINDOWS_AT_ONCE = 8


class WindowFbank(NamedTuple):
    """A window as the encoder takes it.

    Attributes:
        fbank: normalized filter bank.
        mel: log-mel spectrogram, for encoders that see it.
        num_positions: number of positions that hold samples; those behind are padding.
        num_samples: number of samples of the recording in this window.
        is_last: whether this is the recording's last window.
    """

    fbank: Float[Tensor, "1 T M"]
    mel: Float[Tensor, "1 T M2"] | None
    num_positions: int
    num_samples: int
    is_last: bool


class RecordingCodes(NamedTuple):
    """The codes of one recording."""

    semantic: Int[Tensor, "1 L"]
    acoustic: Int[Tensor, "1 L"]
    num_samples: int


class Latents(NamedTuple):
    """What the quantizers are given for a batch of recordings; rows behind an item's end are 0.

    Attributes:
        acoustic: the acoustic encoder's output.
        semantic: AudioMAE's stacked features.
        num_samples: length of each recording at 16 kHz.
    """

    acoustic: Float[Tensor, "B L D"]
    semantic: Float[Tensor, "B L D"]
    num_samples: tuple[int, ...]


class RecordingLatents(NamedTuple):
    """What the quantizers are given for one recording."""

    acoustic: Float[Tensor, "L D"]
    semantic: Float[Tensor, "L D"]
    num_samples: int


@dataclass(frozen=True, kw_only=True)
class RecordingEncoder:
    """Encodes recordings of any length, in memory that their length does not change.

    Attributes:
        fbank: filter bank.
        mel: log-mel spectrogram.
        encoder: encoder on any device.
        format: token rate and vocabularies of the codes.
        pads_windows: whether windows are padded to 10.24 s; see `CodecConfig`.
    """

    fbank: Fbank
    mel: Mel
    encoder: Encoder
    format: TokenFormat
    pads_windows: bool

    def encode(self, recordings: Iterable[Recording]) -> Iterator[RecordingCodes]:
        """Yield the codes of every recording, in order, on the CPU.

        Args:
            recordings: names and mono samples at 16 kHz.
        Raises:
            AudioError: a recording shorter than a frame (25 ms).
        """
        semantic, acoustic, num_samples = [], [], 0
        windows = (window for recording in recordings for window in self.windows(recording))
        for batch, found in self._encoded(windows):
            for window, codes in zip(batch, found, strict=True):
                semantic.append(codes.semantic)
                acoustic.append(codes.acoustic)
                num_samples += window.num_samples
                if window.is_last:
                    yield RecordingCodes(
                        torch.cat(semantic, dim=1), torch.cat(acoustic, dim=1), num_samples
                    )
                    semantic, acoustic, num_samples = [], [], 0

    def stream(self, recording: Recording, window_samples: int) -> Iterator[RecordingCodes]:
        """Yield the codes of every window as soon as its samples and the look-ahead are there.

        Args:
            recording: name and mono samples at 16 kHz.
            window_samples: length of a window, a multiple of 0.32 s.
        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        for window in recording_windows(recording, self.pads_windows, window_samples):
            yield from self.encode_batch([self.fbank_of(window)])

    def _encoded(
        self, windows: Iterator[WindowFbank]
    ) -> Iterator[tuple[list[WindowFbank], list[RecordingCodes]]]:
        """Yield batches with their codes; several cores get a batch each, one window all cores."""
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        ahead = list(islice(windows, threads * WINDOWS_AT_ONCE))
        size = -(-len(ahead) // threads)  # a full batch, or a fair share of few windows
        batches = _batches(chain(ahead, windows), max(1, size))

        def encoded(batch: list[WindowFbank]) -> tuple[list[WindowFbank], list[RecordingCodes]]:
            return batch, self.encode_batch(batch)

        if threads == 1 or len(ahead) == 1:
            return map(encoded, batches)
        return in_order(encoded, batches, threads)

    def encode_batch(self, windows: Sequence[WindowFbank]) -> list[RecordingCodes]:
        """Return the codes of windows of one size, of whatever recordings, on the CPU."""
        with undisturbed(self.device):
            fbanks = torch.cat([window.fbank for window in windows])
            mels = [window.mel for window in windows if window.mel is not None]
            mel = torch.cat(mels) if mels else None
            codes = self.encoder.encode(fbanks, self.format.semantic_vocab_size, mel)
            streams = [stream.cpu().split(1) for stream in codes]
        return [
            RecordingCodes(
                semantic[:, : window.num_positions],
                acoustic[:, : window.num_positions],
                window.num_samples,
            )
            for window, semantic, acoustic in zip(windows, *streams, strict=True)
        ]

    def features(self, recording: Recording, layers: str) -> Float[Tensor, "L D"]:
        """Return the features of a recording's positions, float32 on the CPU.

        Args:
            recording: name and mono samples at 16 kHz.
            layers: one of `FEATURE_LAYERS`; see `Encoder.layer_features`.
        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        vocab_size = self.format.semantic_vocab_size
        rows = []
        for window in self.windows(recording):
            with undisturbed(self.device):
                found = self.encoder.layer_features(window.fbank, vocab_size, layers, window.mel)
                features = found[0]
                rows.append(features[: window.num_positions].float().cpu())
        with torch.inference_mode(False):  # what is made under it could not be trained on
            return torch.cat(rows)

    def latents(self, recording: Recording) -> RecordingLatents:
        """Return what the quantizers would get, float32 on the CPU.

        Args:
            recording: name and mono samples at 16 kHz.
        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        acoustic, semantic, num_samples = [], [], 0
        for window in self.windows(recording):
            with undisturbed(self.device):
                found = self.encoder.latents(
                    window.fbank, self.format.semantic_vocab_size, window.mel
                )
                rows = [latent[0, : window.num_positions].float().cpu() for latent in found]
            acoustic.append(rows[0])
            semantic.append(rows[1])
            num_samples += window.num_samples
        with torch.inference_mode(False):
            return RecordingLatents(torch.cat(acoustic), torch.cat(semantic), num_samples)

    def quantize(
        self, acoustic: Float[Tensor, "L D"], semantic: Float[Tensor, "L D"], num_samples: int
    ) -> RecordingCodes:
        """Return the codes of a recording's latents, on the CPU.

        The latents of a recording give the codes that `encode` gives it: matrix products round
        by their size, so windows are searched one by one, as large as `encode` has them.

        Args:
            acoustic: the acoustic encoder's output, one row per position; padding may follow.
            semantic: AudioMAE's features, likewise.
            num_samples: length of the recording.
        """
        total = self.format.num_positions(num_samples)
        whole = self.format.positions_per_window
        step = STEP_SAMPLES // self.format.samples_per_position
        codes = []
        for start in range(0, total, whole):
            length = min(whole, total - start)
            size = whole if self.pads_windows else -(-length // step) * step
            window_semantic, window_acoustic = (
                F.pad(latent[start : start + length], (0, 0, 0, size - length))[None].to(
                    self.device, torch.float32
                )
                for latent in (semantic, acoustic)
            )
            with undisturbed(self.device):
                found = self.encoder.quantize(
                    window_semantic, window_acoustic, self.format.semantic_vocab_size
                )
                codes.append([stream[:, :length].cpu() for stream in found])
        semantic_codes, acoustic_codes = (
            torch.cat(stream, dim=1) for stream in zip(*codes, strict=True)
        )
        return RecordingCodes(semantic_codes, acoustic_codes, num_samples)

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return self.encoder.audiomae.positions.device

    def windows(self, recording: Recording) -> Iterator[WindowFbank]:
        """Yield the windows of a recording; holds one at a time.

        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        for window in recording_windows(recording, self.pads_windows):
            yield self.fbank_of(window)

    def fbank_of(self, window: Window) -> WindowFbank:
        """Return a window of samples as the encoder takes it."""
        with undisturbed(self.device):
            wav = window.wav.to(self.device)
            fbank = window_fbank(self.fbank, wav)
            mel = window_mel(self.mel, wav) if self.encoder.sees_mel else None
        return WindowFbank(
            fbank,
            mel,
            self.format.num_positions(window.num_samples),
            window.num_samples,
            window.is_last,
        )


def recording_windows(
    recording: Recording, pads_windows: bool, window_samples: int = WINDOW_SAMPLES
) -> Iterator[Window]:
    """Yield the windows of a recording as samples; holds one at a time.

    Args:
        recording: name and mono samples at 16 kHz.
        pads_windows: whether windows are padded to 10.24 s; see `CodecConfig`.
        window_samples: length of a window, a multiple of 0.32 s.
    Raises:
        AudioError: shorter than a frame (25 ms).
    """
    total = 0
    for window in encode_windows(recording.blocks, pads_windows, window_samples):
        total += window.num_samples
        if total < FRAME_LENGTH:
            break
        yield window
    if total < FRAME_LENGTH:
        raise AudioError(
            f"{recording.name} has {total} samples at {SAMPLE_RATE // 1000} kHz; at least "
            f"{FRAME_LENGTH} (25 ms) are needed"
        )


def _batches(windows: Iterable[WindowFbank], at_once: int) -> Iterator[list[WindowFbank]]:
    """Yield runs of windows of one size, `at_once` at most."""
    batch: list[WindowFbank] = []
    for window in windows:
        is_other = bool(batch) and batch[0].fbank.shape != window.fbank.shape
        if is_other or len(batch) == at_once:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
