"""The decoder over whole recordings: features -> windows -> Decoder -> waveform.

    items (features of any range) -> overlapping windows -> batches -> Decoder -> overlap-add

Shapes: L positions · D width of the features · N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.windows import STEP_SAMPLES, decode_ranges, overlap_add
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.noise import WindowNoise, check_noise
from semanticodec.decoder.sampler import Noise
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.layers.surroundings import padded, trainable, undisturbed
from semanticodec.parallel import in_order
from semanticodec.token_format import TokenGrid

# Batches that several cores decode at a time; each holds up to 0.5 GB at the official size.
BATCHES_AT_ONCE = 16
# Batches wait for the largest of them: with more than this share of the work in one, threads inside
# operations are faster.
LARGEST_SHARE = 2 / 3

StreamFeatures = tuple[Float[Tensor, "1 L D"], Float[Tensor, "1 L D"]]


@dataclass(frozen=True, kw_only=True)
class CodedRecording:
    """Codes that decode to one waveform.

    Attributes:
        features: features(start, end) -> quantized acoustic and semantic features.
        num_positions: L, how many positions there are.
        num_samples: length of the waveform.
    """

    features: Callable[[int, int], StreamFeatures]
    num_positions: int
    num_samples: int

    @classmethod
    def of_features(
        cls,
        acoustic: Float[Tensor, "L D"],
        semantic: Float[Tensor, "L D"],
        num_positions: int,
        num_samples: int,
    ) -> CodedRecording:
        """Return what is decoded from features that are at hand, one row per position."""
        rows = acoustic.unsqueeze(0), semantic.unsqueeze(0)  # L D -> 1 L D

        def features(start: int, end: int) -> StreamFeatures:
            return rows[0][:, start:end], rows[1][:, start:end]

        return cls(features=features, num_positions=num_positions, num_samples=num_samples)


class Window(NamedTuple):
    """One window of one item, and how many positions it has with its padding."""

    item: int
    index: int
    start: int
    end: int
    num_positions: int


@dataclass(frozen=True, kw_only=True)
class WindowsDecoder:
    """Decodes items of any length, some windows at a time.

    Sums round differently in another batch. On a CPU, where that is all a waveform depends on,
    windows of different items are therefore joined only if a batch size was asked for. Cores get a
    batch each, where there are enough of them; one thread then computes what it computes alone.

    Attributes:
        decoder: decoder on any device.
        grid: time and frequency grid of the token rate's positions.
        pads_windows: whether windows are padded to 10.24 s; see `CodecConfig`.
        settings: sampling settings.
        noise: initial and added noise of every window.
        batch_size: number of windows of 10.24 s whose work is done at once; None: as many as the
            device has room for.
    """

    decoder: Decoder
    grid: TokenGrid
    pads_windows: bool
    settings: SamplingConfig
    noise: WindowNoise
    batch_size: int | None = None

    def decode(self, items: Sequence[CodedRecording]) -> Float[Tensor, "B 1 S"]:
        """Return all waveforms on the CPU, the shorter ones zero-padded at the end."""
        is_joined = self.batch_size is not None or not self._is_on_cpu
        runs = [items] if is_joined else [[item] for item in items]
        return padded([wav for run in runs for wav in self._wavs(run)]).unsqueeze(1)

    def stream(self, item: CodedRecording) -> Iterator[Float[Tensor, " S"]]:
        """Yield the waveform block by block, in memory that its length does not change."""
        decoded = self._decoded([item], self.windows(item))
        yield from overlap_add((samples for _, samples in decoded), item.num_samples)

    def window(self, item: CodedRecording, index: int, start: int, end: int) -> Float[Tensor, " S"]:
        """Return the samples of one window, those of its padding included.

        Args:
            item: what is decoded.
            index: number of the window, which its noise depends on.
            start: its first position.
            end: the position behind its last.
        """
        ((_, samples),) = self._decoded([item], [self._window(0, index, start, end)])
        return samples

    def windows(self, item: CodedRecording) -> list[Window]:
        """Return the windows of an item, in order."""
        return list(self._windows([item]))

    def mel_of(
        self,
        window: Window,
        acoustic: Float[Tensor, "1 L D"],
        semantic: Float[Tensor, "1 L D"],
    ) -> Float[Tensor, "1 T M"]:
        """Return the log mel of one window, float32, with a gradient where one is asked for.

        Args:
            window: one of `windows`.
            acoustic: quantized acoustic features of its positions, on the decoder's device.
            semantic: quantized semantic features.
        """
        context = self.decoder.condition(acoustic, semantic, window.num_positions)
        latent = self.decoder.sample(context, self._noise_of([window]), self.settings)
        return self.decoder.mel(latent).float()

    def _wavs(self, items: Sequence[CodedRecording]) -> list[Float[Tensor, " S"]]:
        """Return the waveforms of items whose windows may be joined."""
        windows: list[list[Tensor]] = [[] for _ in items]
        # Only windows of one length share a batch; an item's last is its shortest.
        ordered = sorted(self._windows(items), key=lambda window: -window.num_positions)
        for window, samples in self._decoded(items, ordered):
            windows[window.item].append(samples)
        return [
            torch.cat(list(overlap_add(decoded, item.num_samples)))
            for decoded, item in zip(windows, items, strict=True)
        ]

    def _decoded(
        self, items: Sequence[CodedRecording], windows: Sequence[Window]
    ) -> Iterator[tuple[Window, Float[Tensor, " S"]]]:
        """Yield windows with their samples; several cores get a batch each, or all the same."""

        def decoded(batch: list[Window]) -> list[tuple[Window, Tensor]]:
            with undisturbed(self.decoder.latent_scale.device):
                features = [
                    items[window.item].features(window.start, window.end) for window in batch
                ]
                wavs = self.decoder.decode_windows(
                    features, batch[0].num_positions, self.settings, self._noise_of(batch)
                )
            return list(zip(batch, trainable(wavs), strict=True))

        threads = torch.get_num_threads() if self._is_on_cpu else 1
        batches = _batches(windows, self._budget(windows, threads))
        ahead = list(islice(batches, min(threads, BATCHES_AT_ONCE)))
        batches = chain(ahead, batches)
        if _has_work_for_each(ahead):
            done = in_order(decoded, batches, len(ahead), threads // len(ahead))
        else:
            done = map(decoded, batches)
        return chain.from_iterable(done)

    @property
    def _is_on_cpu(self) -> bool:
        return self.decoder.latent_scale.device.type == "cpu"

    def _budget(self, windows: Sequence[Window], threads: int) -> int:
        """Return how many positions a batch may have; a share for each core of a few windows.

        Only where a batch size was asked for: without, no waveform depends on the number of cores
        by more than what threads inside operations change.
        """
        whole = self.grid.positions_per_window
        if self.batch_size is None:
            return self.decoder.windows_at_once(self.settings) * whole
        longest = max((window.num_positions for window in windows), default=0)
        total = sum(window.num_positions for window in windows)
        share = -(-total // (threads * max(longest, 1))) * longest
        return min(self.batch_size * whole, share)

    def _windows(self, items: Sequence[CodedRecording]) -> Iterator[Window]:
        whole = self.grid.positions_per_window
        for number, item in enumerate(items):
            for index, (start, end) in enumerate(decode_ranges(item.num_positions, whole)):
                yield self._window(number, index, start, end)

    def _window(self, item: int, index: int, start: int, end: int) -> Window:
        step = STEP_SAMPLES // self.grid.samples_per_position
        needed = -(-(end - start) // step) * step
        whole = self.grid.positions_per_window
        return Window(item, index, start, end, whole if self.pads_windows else needed)

    def _noise_of(self, batch: list[Window]) -> Noise:
        """Return the noise of the windows; a shorter window takes the start of a whole one's."""
        whole = self.grid.positions_per_window
        num_frames = self.decoder.config.latent_shape[1] * batch[0].num_positions // whole

        def noise(draw: int) -> Float[Tensor, "B C T F"]:
            drawn = [self.noise(window.index, draw) for window in batch]
            for values in drawn:
                check_noise(values, (1, *self.decoder.config.latent_shape))
            return torch.cat([values[:, :, :num_frames].float() for values in drawn])

        return noise


def _batches(windows: Iterable[Window], budget: int) -> Iterator[list[Window]]:
    """Yield runs of windows of one length, `budget` positions in all or one window."""
    batch: list[Window] = []
    for window in windows:
        is_other = bool(batch) and window.num_positions != batch[0].num_positions
        if batch and (is_other or (len(batch) + 1) * window.num_positions > budget):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _has_work_for_each(batches: Sequence[list[Window]]) -> bool:
    """Return whether batches that cores would get at a time are several and about even."""
    work = [len(batch) * batch[0].num_positions for batch in batches]
    return len(work) > 1 and max(work) <= LARGEST_SHARE * sum(work)
