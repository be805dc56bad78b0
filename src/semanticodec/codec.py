"""The codec: wav -> tokens -> wav, the two chains of the paper's Figure 2 joined.

encode: recordings -> RecordingEncoder (windows -> fbank -> Encoder) -> Codes
        (live: `encode_stream`, and `streaming.StreamDecoder` at the other end)
decode: Codes -> WindowsDecoder (overlapping windows -> Decoder -> overlap-add) -> wav

    audio -> encode_latent -> quantize -> Codes -> dequantize -> features -> decode_features -> wav
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.waveforms import Audio, live_recording, recordings
from semanticodec.audio.windows import steps_of
from semanticodec.checkpoints.fingerprint import tensors_of
from semanticodec.codec_base import CodecBase
from semanticodec.codes import UNKNOWN_FINGERPRINT, Codes, checked_lengths
from semanticodec.decoder.noise import WindowNoise, seeded_noise
from semanticodec.decoder.sampling import SamplingConfig, SamplingValue
from semanticodec.decoding import CodedRecording, WindowsDecoder
from semanticodec.encoder.encoder import FEATURE_LAYERS
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.encoding import Latents, RecordingCodes, RecordingEncoder
from semanticodec.errors import CodesError, ConfigError, told
from semanticodec.layers.surroundings import padded, trainable, undisturbed
from semanticodec.refining import RecordingRefiner
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES
from semanticodec.token_layouts import Ids, check_layout

WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE
# From here on, more steps bring little.
REFINING_STEPS = 25


class SemantiCodec(CodecBase):
    """Encoder and decoder of one setting: a token rate and a semantic vocabulary.

    Build it with `from_pretrained` or `from_official`; `codec(wav)` encodes and decodes.
    `to(device)` moves it. A change of precision, such as `half()`, is one of the decoder: the
    encoder stays in float32, so that codes do not depend on it. Neither do they on autocast,
    default device and default dtype, nor on the thread, which may share the codec with others.

    Attributes:
        config: sizes of all modules.
        format: token rate, vocabularies and sample rate of its codes.
    """

    def forward(self, audio: Audio, sample_rate: int | None = None) -> Float[Tensor, "B 1 S"]:
        """Return what is left of recordings after `encode` and `decode`.

        Args:
            audio: recordings, in any form that `encode` takes.
            sample_rate: Hz of arrays (default 16 000); files state their own.
        """
        return self.decode(self.encode(audio, sample_rate))

    # ------------------------------------------------------------------ wav -> codes

    def encode(self, audio: Audio, sample_rate: int | None = None) -> Codes:
        """Return the codes of one or more recordings of any length.

        An item's codes never depend on its batch, though windows are computed together.

        Args:
            audio: a path; an array or tensor [S] (one recording), [1, S] or [2, S] (its channels)
                or [B, C, S]; or a list of these. Channels are averaged, integers scaled, other
                rates resampled. A path is read in blocks.
            sample_rate: Hz of arrays (default 16 000); files state their own.
        Returns:
            Codes of all items, L positions each: ceil(S / 2560) * 8 at 100 tokens per second.
        Raises:
            AudioError: not audio, NaN, or shorter than 400 samples (25 ms) at 16 kHz.
            ConfigError: an encoder that is not in float32.
        Source: paper Sec. III-C, Eq. (1)-(3); long audio Sec. IV-D.
        """
        encoder = self.recording_encoder()
        return self._codes(encoder.encode(recordings(audio, sample_rate)))

    def refine(
        self,
        codes: Codes,
        audio: Audio,
        sample_rate: int | None = None,
        *,
        num_steps: int = REFINING_STEPS,
    ) -> Codes:
        """Return codes that decode to something nearer to the recordings, at the same rate.

        Acoustic codes are searched for by decoding them, see `refining`; semantic codes stay. It
        takes two decodings' time for every step, and memory for the gradient of one window.

        Args:
            codes: codes of the recordings, of this model.
            audio: the recordings, in any form that `encode` takes. A path is read in blocks.
            sample_rate: Hz of arrays (default 16 000); files state their own.
            num_steps: steps of the search, 1 or more.
        Raises:
            CodesError: codes of another model, or of recordings of other lengths.
            ConfigError: a model that decodes in several steps, or whose acoustic quantizer is not
                a codebook.
        """
        codes = self.own_codes(codes, "stacked")
        refiner = self.recording_refiner(num_steps)
        sounds = list(recordings(audio, sample_rate))
        if len(sounds) != len(codes):
            raise CodesError(
                f"codes of {len(codes)} recordings, but {len(sounds)} recordings; give those that "
                "were encoded, in the same order"
            )
        found = []
        for item, sound in zip(codes, sounds, strict=True):
            acoustic = refiner.refine(self.coded_recording(item), item.acoustic[0], sound)
            found.append(RecordingCodes(item.semantic, acoustic[None], item.num_samples[0]))
        return self._codes(found)

    def recording_refiner(self, num_steps: int) -> RecordingRefiner:
        """Return what searches for the codes of a recording; `refine` uses it.

        Args:
            num_steps: steps of the search, 1 or more.
        Raises:
            ConfigError: as for `refine`.
        """
        if not isinstance(num_steps, int) or isinstance(num_steps, bool) or num_steps < 1:
            raise ConfigError(f"num_steps is {told(num_steps)}; give a whole number of 1 or more")
        windows, quantizer = self.windows_decoder(), self.encoder.quantizer
        if windows.settings.num_steps > 1 or windows.settings.guidance_scale != 1:
            raise ConfigError(
                "this model decodes in several steps or with guidance, through which no codes are "
                "searched for; refine codes of a model that was trained to decode in one step"
            )
        if not isinstance(quantizer, VectorQuantizer):
            raise ConfigError(
                f"the acoustic quantizer of this model is {type(quantizer).__name__}; codes are "
                "searched for in a codebook (VectorQuantizer) only"
            )
        return RecordingRefiner(
            windows=windows,
            quantizer=quantizer,
            mel=self.mel,
            num_steps=num_steps,
        )

    def encode_stream(
        self,
        blocks: Iterable[np.ndarray | Tensor],
        sample_rate: int | None = None,
        *,
        window_s: float = WINDOW_S,
    ) -> Iterator[Codes]:
        """Yield the codes of a live recording window by window, in bounded memory.

        The codes of a window come with the sample 15 ms behind its end (look-ahead); nothing
        depends on how the samples are split into blocks. Windows of 10.24 s have the codes of
        `encode`.

        Args:
            blocks: consecutive samples [S] or [1 or 2 channels, S], of any lengths, endless ones
                too; floats, or integers as `encode` takes them.
            sample_rate: their Hz (default 16 000).
            window_s: length of a window in seconds, a multiple of 0.32 up to 10.24: short ones
                come sooner and sound worse, see docs/streaming.md.
        Returns:
            One item per window; the last may be shorter.
        Raises:
            ConfigError: another length, or an encoder that is not in float32.
            AudioError: not samples, NaN, or shorter than 25 ms in all.
        """
        window_samples = steps_of("window_s", window_s)
        encoder = self.recording_encoder()
        found = encoder.stream(live_recording(blocks, sample_rate), window_samples)
        return (self._codes([window]) for window in found)

    def features(
        self, audio: Audio, layers: str = "all", sample_rate: int | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return the features behind the codes, one row per position, for downstream tasks.

        They carry no gradient themselves; a network on top of them can be trained.

        Args:
            audio: recordings, in any form that `encode` takes.
            layers: "all" = [acoustic, semantic] as the decoder sees them, "semantic" or
                "acoustic" alone, "continuous": AudioMAE before any quantizer, or "unquantized":
                as "all", with neither half quantized.
            sample_rate: Hz of arrays (default 16 000).
        Returns:
            float32 on the CPU; rows beyond a shorter item's own positions are zero.
        Raises:
            ConfigError: no such layers.
        """
        if not isinstance(layers, str) or layers not in FEATURE_LAYERS:
            raise ConfigError(
                f"layers is {told(layers)}; choose one of {', '.join(FEATURE_LAYERS)}"
            )
        encoder = self.recording_encoder()
        return padded([encoder.features(each, layers) for each in recordings(audio, sample_rate)])

    def encode_latent(self, audio: Audio, sample_rate: int | None = None) -> Latents:
        """Return what the two quantizers are given: `quantize` makes the codes of `encode` of it.

        Args:
            audio: recordings, in any form that `encode` takes.
            sample_rate: Hz of arrays (default 16 000).
        """
        encoder = self.recording_encoder()
        found = [encoder.latents(each) for each in recordings(audio, sample_rate)]
        return Latents(
            acoustic=padded([each.acoustic for each in found]),
            semantic=padded([each.semantic for each in found]),
            num_samples=tuple(each.num_samples for each in found),
        )

    def quantize(self, latents: Latents) -> Codes:
        """Return the codes of latents.

        Args:
            latents: result of this model's `encode_latent`.
        Raises:
            CodesError: no latents, or of another width or length.
        """
        _check_latents(latents)
        self._check_rows(latents.acoustic, latents.semantic, latents.num_samples)
        encoder = self.recording_encoder()
        items = zip(latents.acoustic, latents.semantic, latents.num_samples, strict=True)
        return self._codes(encoder.quantize(*item) for item in items)

    def codes_from(
        self,
        ids: Ids,
        layout: str = "stacked",
        *,
        num_samples: Sequence[int] | None = None,
        offset: bool = True,
        partial: str = "refuse",
    ) -> Codes:
        """Return ids, such as a language model's, as this model's codes.

        Args:
            ids: tensor, array or nested list of integers.
            layout: "stacked" [B, 2, L], "paired" [B, L, 2] or "interleaved" [B, 2L].
            num_samples: length of each item's audio; None: it fills the positions.
            offset: whether interleaved acoustic ids were moved up by the semantic vocabulary.
            partial: treatment of a last column that is not whole: "refuse", "cut" it off, or
                "fill" its missing bands as in the column before (a half position is cut off).
        Raises:
            CodesError: another shape, or ids outside the vocabularies.
        """
        return Codes.from_ids(
            ids,
            layout,
            format=self.format,
            num_samples=num_samples,
            fingerprint=self.model_fingerprint,
            offset=offset,
            partial=partial,
        )

    def _codes(self, items: Iterable[RecordingCodes]) -> Codes:
        name = self.model_fingerprint
        return Codes.cat(
            [
                Codes(
                    item.semantic,
                    item.acoustic,
                    (item.num_samples,),
                    self.format,
                    fingerprint=name,
                )
                for item in items
            ]
        )

    def recording_encoder(self) -> RecordingEncoder:
        """Return what encodes recordings window by window; `encode` and its relatives use it.

        Raises:
            ConfigError: an encoder that is not in float32.
        """
        for weight in tensors_of(self.encoder):
            if weight.dtype != torch.float32 and weight.is_floating_point():
                raise ConfigError(
                    f"the encoder has weights in {weight.dtype}, in which codes would be others; "
                    "keep it in float32 and reduce the decoder alone, as codec.half() does"
                )
        return RecordingEncoder(
            fbank=self.fbank,
            mel=self.mel,
            encoder=self.encoder,
            format=self.format,
            pads_windows=self.config.pads_windows,
        )

    # ------------------------------------------------------------------ codes -> wav

    def decode(
        self,
        codes: Codes | Ids,
        *,
        layout: str = "stacked",
        sampling: SamplingConfig | str | None = None,
        quality: str | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        batch_size: int | None = None,
        **settings: SamplingValue,
    ) -> Float[Tensor, "B 1 S"]:
        """Return the waveform of every item, float32, exactly `num_samples` long.

        The same seed gives the same waveform for an item wherever it stands in a batch (but see
        `batch_size`); another number of threads changes rounding, up to 2 steps of 16-bit PCM, but
        not of recordings that are long enough for every core to get windows of its own.
        Samples may pass ±1 where the recording was loud; clip them before storing integers.

        Args:
            codes: result of this model's `encode`, or ids in any form that `codes_from` takes.
            layout: layout of ids: "stacked", "paired" or "interleaved".
            sampling: sampling settings, or the name of a quality.
            quality: "draft", "standard" (default) or "best", in place of `sampling`; see
                `qualities`.
            seed: random seed of the initial noise and of what `eta` adds.
            noise: function in place of the seeded noise: noise(window, draw) -> float32
                [1, C, T, F]; called in any order, by several threads.
            batch_size: number of windows of 10.24 s (or as much of shorter ones) computed together,
                of all items; an item then depends on the others by rounding. None: what the
                device has room for, on a CPU of one item.
            settings: single settings by name, such as num_steps=4 or guidance_scale=2.0; see
                `SamplingConfig` for all of them.
        Returns:
            Waveforms on the CPU; items shorter than the longest are zero-padded at the end.
        Raises:
            CodesError: codes of another setting or model.
            ConfigError: no such setting, or one out of its range.
        """
        codes = self.own_codes(codes, layout)
        decoder = self.windows_decoder(
            sampling,
            quality=quality,
            seed=seed,
            noise=noise,
            batch_size=batch_size,
            **settings,
        )
        return decoder.decode([self.coded_recording(item) for item in codes])

    def decode_stream(
        self, codes: Codes | Ids, *, layout: str = "stacked", **options: Any
    ) -> Iterator[Float[Tensor, "1 1 S"]]:
        """Return the samples of `decode` block by block, in memory that no length changes.

        Args:
            codes: codes or ids of one item, as `decode` takes them.
            layout: layout of ids: "stacked", "paired" or "interleaved".
            options: `sampling`, `seed` and all other options of `decode`.
        """
        codes = self.own_codes(codes, layout)
        if len(codes) != 1:
            raise CodesError(f"decode_stream takes one item, not {len(codes)}; pass codes[i]")
        blocks = self.windows_decoder(**options).stream(self.coded_recording(codes[0]))
        return (trainable(block).view(1, 1, -1) for block in blocks)

    def dequantize(self, codes: Codes) -> Float[Tensor, "B L D"]:
        """Return the features that codes stand for: `features(audio, "all")` of encoded audio."""
        found = []
        for item in self.own_codes(codes, "stacked"):
            with undisturbed(self.device):
                streams = self.coded_recording(item).features(0, item.semantic.shape[1])
                features = torch.cat(streams, dim=-1)[0].float().cpu()
            found.append(trainable(features))
        return padded(found)

    def decode_features(
        self,
        acoustic: Float[Tensor, "B L D"],
        semantic: Float[Tensor, "B L D"],
        num_samples: int | Sequence[int],
        sampling: SamplingConfig | str | None = None,
        **options: Any,
    ) -> Float[Tensor, "B 1 S"]:
        """Return the waveforms of features in place of codes: the bounds of Table II.

        Args:
            acoustic: acoustic features of every position, the first half of `features(..., "all")`.
            semantic: semantic features of every position, the second half.
            num_samples: length of the result, or of every item's.
            sampling: sampling settings or the name of a quality, as in `decode`.
            options: `seed` and all other options of `decode`.
        Raises:
            CodesError: not as many rows as `num_samples` has positions, or another width.
        """
        _check_numbers(acoustic, "acoustic features")
        count = math.prod(acoustic.shape[:1])
        is_one = isinstance(num_samples, int)
        lengths = checked_lengths([num_samples] * count if is_one else num_samples)
        self._check_rows(acoustic, semantic, lengths)
        items = [
            CodedRecording.of_features(one, other, self.format.num_positions(length), length)
            for one, other, length in zip(acoustic, semantic, lengths, strict=True)
        ]
        return self.windows_decoder(sampling, **options).decode(items)

    def decode_latent(self, latents: Latents, **options: Any) -> Float[Tensor, "B 1 S"]:
        """Return the waveforms of latents that no quantizer has rounded, the codec's upper bound.

        Args:
            latents: result of this model's `encode_latent`.
            options: `sampling`, `seed` and all other options of `decode`.
        Raises:
            CodesError: no latents, or of another width or length.
        """
        _check_latents(latents)
        self._check_rows(latents.acoustic, latents.semantic, latents.num_samples)
        with undisturbed(self.device):
            acoustic = self.encoder.quantizer.bypass(latents.acoustic.to(self.device)).cpu()
        return self.decode_features(acoustic, latents.semantic, latents.num_samples, **options)

    def coded_recording(self, codes: Codes) -> CodedRecording:
        """Return the one item of `codes` as `windows_decoder` takes it."""

        def features(start: int, end: int) -> tuple[Tensor, Tensor]:
            semantic = codes.semantic[:, start:end].to(self.device)
            acoustic = codes.acoustic[:, start:end].to(self.device)
            return self.encoder.quantized(semantic, acoustic, self.semantic_vocab_size)

        return CodedRecording(
            features=features,
            num_positions=codes.semantic.shape[1],
            num_samples=codes.num_samples[0],
        )

    def windows_decoder(
        self,
        sampling: SamplingConfig | str | None = None,
        *,
        quality: str | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        batch_size: int | None = None,
        **settings: SamplingValue,
    ) -> WindowsDecoder:
        """Return what decodes with the options of `decode`."""
        is_number = isinstance(batch_size, int) and not isinstance(batch_size, bool)
        if batch_size is not None and (not is_number or batch_size < 1):
            raise ConfigError(f"batch_size is {told(batch_size)}; give 1 or more, or None")
        if noise is not None and not callable(noise):
            raise ConfigError(f"noise is {told(noise)}; give a function noise(window, draw)")
        if noise is None:
            noise = seeded_noise(seed, (1, *self.config.decoder.latent_shape))
        return WindowsDecoder(
            decoder=self.decoder,
            grid=self.format,
            pads_windows=self.config.pads_windows,
            settings=self.sampling(sampling, quality=quality, **settings),
            noise=noise,
            batch_size=batch_size,
        )

    def own_codes(self, codes: Codes | Ids, layout: str) -> Codes:
        """Return codes, or ids as codes, that this model can decode.

        Raises:
            CodesError: neither, or of another setting or model.
        """
        check_layout(layout)
        if not isinstance(codes, Codes):
            try:
                return self.codes_from(codes, layout)
            except CodesError as error:
                raise CodesError(
                    f"{type(codes).__name__} is not Codes, nor ids of this model ({error}); build "
                    "codes with codes_from, Codes.from_stacked, from_interleaved or Codes.load"
                ) from error
        for name in ("token_rate", "semantic_vocab_size", "acoustic_vocab_size"):
            theirs, ours = getattr(codes, name), getattr(self, name)
            if theirs != ours:
                raise CodesError(
                    f"the codes have {name} {theirs}, this model has {ours}; "
                    "decode them with a model of their own setting"
                )
        if codes.fingerprint == UNKNOWN_FINGERPRINT:
            return codes
        ours = self.model_fingerprint
        if ours not in (UNKNOWN_FINGERPRINT, codes.fingerprint):
            raise CodesError(
                f"the codes come from model {codes.fingerprint.hex()}, this is {ours.hex()}; "
                "decode them with the model that made them"
            )
        return codes

    def _check_rows(self, acoustic: Tensor, semantic: Tensor, num_samples: Sequence[int]) -> None:
        for name, rows in (("acoustic", acoustic), ("semantic", semantic)):
            _check_numbers(rows, f"{name} features")
        lengths = [self.format.num_positions(length) for length in checked_lengths(num_samples)]
        expected = (len(lengths), max(lengths, default=0), self.config.encoder.width)
        if tuple(acoustic.shape) != expected or tuple(semantic.shape) != expected:
            raise CodesError(
                f"acoustic features of shape {tuple(acoustic.shape)} and semantic features of "
                f"shape {tuple(semantic.shape)}; {', '.join(map(str, num_samples))} samples take "
                f"{expected} each"
            )


def _check_latents(latents: Latents) -> None:
    if not isinstance(latents, Latents):
        raise CodesError(f"latents are {told(latents)}; give the result of encode_latent")


def _check_numbers(rows: Tensor, name: str) -> None:
    """Refuse what are no floats, or none to compute with."""
    is_plain = isinstance(rows, Tensor) and rows.layout == torch.strided and not rows.is_nested
    if not is_plain or not rows.is_floating_point() or rows.is_meta:
        raise CodesError(f"{name} are {told(rows)}; give a dense tensor of floats")
    if not rows.float().isfinite().all():  # 8-bit floats cannot tell
        raise CodesError(f"{name} hold NaN or infinite values; they would become noise")
