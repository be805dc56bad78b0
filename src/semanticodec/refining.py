"""Acoustic codes that a given decoder makes more of: searched for, not the nearest ones.

    codes → quantized vectors → Decoder, one step → mel → distance to the recording's
      ↑                ↑                                            │
      │                └───────────── gradient ─────────────────────┘
      └── other codes where they promise to lower it, kept if they do

The encoder codes every position for itself: it takes the code nearest to what the semantic codes
leave untold. A decoder reads a code among those around it. The search starts at the encoder's
codes and ends where the decoded mel is nearer to the recording. Semantic codes, rate and format
stay, and every decoder of the model decodes the result. An addition of this project: not in the
paper, not in the release.

Shapes: B batch · L positions · W code width · C codes of the codebook · S samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.envelope_distance import SEGMENT_FRAMES, envelope_distance
from semanticodec.audio.mel import Mel, window_mel
from semanticodec.audio.mel_distance import mel_distance
from semanticodec.audio.waveforms import Recording
from semanticodec.decoding import CodedRecording, Window, WindowsDecoder
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CodesError
from semanticodec.layers.surroundings import trainable, undisturbed

# How much detail and envelopes count beside the mel: the weights of `train decoder`.
DETAIL_WEIGHT = 2.0
ENVELOPE_WEIGHT = 0.5
RANGE_DB = 60.0
# Positions that may change in a step: what one promises depends on its neighbors.
CHANGED_SHARE = 0.5
# The first step changes this share of them, the most promising; then caution follows success.
FIRST_SHARE = 0.2
BOLDER, MORE_CAUTIOUS = 0.9, 1.3


@dataclass(frozen=True, kw_only=True)
class RecordingRefiner:
    """Refines the acoustic codes of a recording, window by window.

    Attributes:
        windows: windows, noise and settings of decoding, in one step.
        quantizer: the acoustic codebook.
        mel: log-mel spectrogram.
        num_steps: steps of the search, each about two decodings up to the mel.
    """

    windows: WindowsDecoder
    quantizer: VectorQuantizer
    mel: Mel
    num_steps: int

    def refine(self, item: CodedRecording, codes: Int[Tensor, " L"], sound: Recording) -> Tensor:
        """Return acoustic codes [L], on the CPU; holds one window of the recording at a time.

        Args:
            item: what is decoded of the codes.
            codes: acoustic codes to start from.
            sound: the recording.
        Raises:
            CodesError: a recording of another length.
        """
        codes, num_done = codes.clone(), 0
        samples = _Samples(sound.blocks)
        for window in self.windows.windows(item):
            rows = slice(window.start, window.end)
            is_free = torch.arange(window.start, window.end) >= num_done
            target = self._target(window, samples)
            self._check_length(sound.name, samples, item, window)
            with undisturbed(self._device):
                _, semantic = item.features(window.start, window.end)
            search = _Search(
                windows=self.windows,
                window=window,
                quantizer=self.quantizer,
                semantic=trainable(semantic).to(self._device, torch.float32),
                target=target,
                num_steps=self.num_steps,
                generator=torch.Generator().manual_seed(window.index),
            )
            with undisturbed(self._device), torch.inference_mode(False), torch.enable_grad():
                found = search.run(codes[rows].to(self._device), is_free.to(self._device))
            codes[rows], num_done = found.cpu(), window.end
        return codes

    @property
    def _device(self) -> torch.device:
        return self.windows.decoder.latent_scale.device

    def _target(self, window: Window, samples: _Samples) -> Float[Tensor, "1 T M"]:
        """Return the recording's mel in a window, with silence where the window is padded."""
        each = self.windows.grid.samples_per_position
        piece = samples.piece(window.start * each, window.num_positions * each)
        with undisturbed(self._device):
            return trainable(window_mel(self.mel, piece.to(self._device)[None]))

    def _check_length(
        self, name: str, samples: _Samples, item: CodedRecording, window: Window
    ) -> None:
        """Refuse a recording of another length where it shows, before the window's search."""
        is_last = window.end == item.num_positions
        num_samples = samples.count() if is_last else samples.num_read
        needed = min(window.end * self.windows.grid.samples_per_position, item.num_samples)
        if num_samples < needed or (is_last and num_samples > needed):
            raise CodesError(
                f"{name} has {num_samples} samples at 16 kHz, but its codes stand for "
                f"{item.num_samples}; give the recording that was encoded"
            )


class _Samples:
    """Samples of a recording that is read as far as it is asked for.

    Args:
        blocks: consecutive samples.
    Attributes:
        num_read: how many were read so far; all, where a piece asked for more.
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = iter(blocks)
        self._held = torch.empty(0)
        self._start = 0
        self.num_read = 0

    def piece(self, start: int, length: int) -> Float[Tensor, " S"]:
        """Return samples, zeros behind the end; what lies before them is forgotten.

        Args:
            start: number of the first, not before that of the last piece.
            length: how many.
        """
        for block in self._until(start + length):
            self._held = torch.cat([self._held, torch.as_tensor(block)])
        self._held = self._held[start - self._start :]
        self._start = start
        held = self._held[:length]
        return F.pad(held, (0, length - len(held)))

    def count(self) -> int:
        """Read to the end, behind the last piece, and return how many samples there were."""
        self.num_read += sum(len(block) for block in self._blocks)
        return self.num_read

    def _until(self, end: int) -> Iterator[np.ndarray]:
        while self.num_read < end:
            block = next(self._blocks, None)
            if block is None:
                return
            self.num_read += len(block)
            yield block


@dataclass(frozen=True, kw_only=True)
class _Search:
    """Search for the codes of one window."""

    windows: WindowsDecoder
    window: Window
    quantizer: VectorQuantizer
    semantic: Float[Tensor, "1 L D"]
    target: Float[Tensor, "1 T M"]
    num_steps: int
    generator: torch.Generator

    def run(self, codes: Int[Tensor, " L"], is_free: Bool[Tensor, " L"]) -> Int[Tensor, " L"]:
        """Return codes that are not farther from the target than those given.

        Args:
            codes: codes to start from.
            is_free: positions that may change.
        """
        vectors, loss = self._decoded(codes)
        slopes, distances = self._promises(vectors, loss)
        caution = _first_caution(slopes, distances, is_free)
        for _ in range(self.num_steps):
            promised, candidates = (slopes + caution * distances).min(dim=1)
            drawn = torch.rand(len(codes), generator=self.generator).to(codes.device)
            changes = (promised < 0) & is_free & (drawn < CHANGED_SHARE)
            changed = torch.where(changes, candidates, codes)
            vectors, new_loss = self._decoded(changed)
            if new_loss < loss:
                codes, loss = changed, new_loss
                slopes, distances = self._promises(vectors, loss)
                caution = BOLDER * caution
            else:
                caution = MORE_CAUTIOUS * caution
        return codes

    def _promises(
        self, vectors: Float[Tensor, "L W"], loss: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "L C"], Float[Tensor, "L C"]]:
        """Return for every code the change of the loss along its gradient, and half its square."""
        book = self.quantizer.embed
        (gradient,) = torch.autograd.grad(loss, vectors)
        known = vectors.detach()
        slopes = gradient @ book.T - (gradient * known).sum(dim=1, keepdim=True)
        return slopes, 0.5 * torch.cdist(known, book).square()

    def _decoded(self, codes: Int[Tensor, " L"]) -> tuple[Float[Tensor, "L W"], Float[Tensor, ""]]:
        """Return the vectors of codes, and how far the mel that they decode to is off."""
        vectors = self.quantizer.embed[codes].requires_grad_()
        acoustic = self.quantizer.from_code_space(vectors[None])
        mel = self.windows.mel_of(self.window, acoustic, self.semantic)
        frame, detail = mel_distance(mel, self.target, RANGE_DB)
        loss = frame + DETAIL_WEIGHT * detail
        if mel.shape[1] >= SEGMENT_FRAMES:
            loss = loss + ENVELOPE_WEIGHT * envelope_distance(mel, self.target)
        return vectors, loss


def _first_caution(
    slopes: Float[Tensor, "L C"], distances: Float[Tensor, "L C"], is_free: Bool[Tensor, " L"]
) -> Tensor:
    """Return the weight of squared distances at which few positions promise anything."""
    best = (-slopes / distances.clamp_min(1e-9)).masked_fill(distances < 1e-9, 0.0).amax(dim=1)
    return best[is_free].quantile(1 - FIRST_SHARE)
