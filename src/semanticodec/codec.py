"""The codec: wav -> tokens -> wav, the two chains of the paper's Figure 2 joined.

encode: recordings -> RecordingEncoder (windows -> fbank -> Encoder) -> Codes
decode: Codes -> WindowsDecoder (overlapping windows -> Decoder -> overlap-add) -> wav

    audio -> encode_latent -> quantize -> Codes -> dequantize -> features -> decode_features -> wav
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.fbank import Fbank
from semanticodec.audio.waveforms import Audio, recordings
from semanticodec.checkpoints.fingerprint import CurrentFingerprint
from semanticodec.checkpoints.hub import download_official
from semanticodec.checkpoints.official import load_official
from semanticodec.checkpoints.pretrained import (
    choose_vocabulary,
    load_state,
    model_folder,
    read_setting,
    read_weights,
    write_model,
)
from semanticodec.codes import UNKNOWN_FINGERPRINT, Codes
from semanticodec.config import CodecConfig
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.noise import WindowNoise, seeded_noise
from semanticodec.decoder.sampling import (
    SamplingConfig,
    SamplingValue,
    choose_sampling,
    qualities,
)
from semanticodec.decoding import CodedRecording, WindowsDecoder
from semanticodec.device import checked_device, checked_dtype
from semanticodec.encoder.encoder import FEATURE_LAYERS, Encoder
from semanticodec.encoding import Latents, RecordingEncoder
from semanticodec.errors import CodesError, ConfigError
from semanticodec.layers.surroundings import check_fork, float32_default, trainable, undisturbed
from semanticodec.layers.uninitialized import Uninitialized
from semanticodec.runtimes.onednn import use_onednn
from semanticodec.token_format import NUM_STREAMS, Formatted, TokenFormat, vocab_size_of
from semanticodec.token_layouts import Ids


class SemantiCodec(Formatted, nn.Module):
    """Encoder and decoder of one setting: a token rate and a semantic vocabulary.

    Build it with `from_pretrained` or `from_official`; `codec(wav)` encodes and decodes.
    `to(device)` moves it. A change of precision, such as `half()`, is one of the decoder: the
    encoder stays in float32, so that codes do not depend on it. Neither do they on autocast,
    default device and default dtype, nor on the thread, which may share the codec with others.

    Attributes:
        config: sizes of all modules.
        format: token rate, vocabularies and sample rate of its codes.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        vocab_sizes = config.encoder.semantic.vocab_sizes
        if len(vocab_sizes) != 1:
            raise ConfigError(
                f"a codec has one semantic vocabulary, not {vocab_sizes}; "
                "choose one with semantic_vocab_size"
            )
        self.config = config
        self.format = TokenFormat(
            config.token_rate,
            semantic_vocab_size=vocab_sizes[0],
            acoustic_vocab_size=vocab_size_of(config.encoder.quantizer.codebook_size),
        )
        self._fingerprint = CurrentFingerprint()
        with float32_default():
            self.fbank = Fbank(config.encoder.audiomae.num_mel_bins)
            self.encoder = Encoder(config.encoder)
            self.decoder = Decoder(config.decoder)
        use_onednn(self.eval().requires_grad_(False))

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        token_rate: int | None = None,
        semantic_vocab_size: int | None = None,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> SemantiCodec:
        """Return the built-in model, or one from a folder or the Hub.

        Args:
            source: None for the built-in model; a folder with config.json; or a Hub id.
            token_rate: 25, 50 or 100 where the model offers several (default: its own).
            semantic_vocab_size: where it offers several (default: the largest).
            device: where to compute, or "auto" for the fastest device present.
            dtype: precision of everything after the quantizers; the encoder stays float32.
            revision: branch, tag or commit of a Hub model.
            cache_dir: folder of the Hub's files (default: the Hub client's own).
            local_files_only: take a Hub model from that folder alone.
            token: access token of the Hub, or whether to use the one that is stored.
        Raises:
            CheckpointError: files missing, damaged or of another model.
            ConfigError: a setting that the model does not offer, or no such device.
        """
        folder = model_folder(
            source,
            revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        config, files = read_setting(folder, token_rate)
        config = choose_vocabulary(config, semantic_vocab_size)
        return cls._from_state(config, lambda: read_weights(files, config), device, dtype)

    @classmethod
    def from_official(
        cls,
        *,
        encoder: str | os.PathLike[str] | None = None,
        decoder: str | os.PathLike[str] | None = None,
        codebook: str | os.PathLike[str] | None = None,
        token_rate: int = 100,
        semantic_vocab_size: int = 16384,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> SemantiCodec:
        """Return the official system from its checkpoint files, or through the Hub's cache.

        The official weights are licensed for non-commercial use (AudioMAE CC-BY-NC, AudioLDM 2
        CC-BY-NC-SA); they are never part of this package.

        Args:
            encoder: `encoder.ckpt`; give all three files, or none to use the Hub.
            decoder: `decoder.ckpt`.
            codebook: the semantic codebook's `.npy`.
            token_rate: 25, 50 or 100.
            semantic_vocab_size: which codebook to take from the Hub.
            device: where to compute, or "auto" for the fastest device present.
            dtype: precision of everything after the quantizers; the encoder stays float32.
            revision: branch, tag or commit on the Hub.
            cache_dir: folder of the Hub's files (default: the Hub client's own).
            local_files_only: take the files from that folder alone.
            token: access token of the Hub, or whether to use the one that is stored.
        Raises:
            CheckpointError: a file that is missing, truncated, unsafe or of another model.
            ConfigError: some of the three files given, but not all; or no such device.
        """
        given = [path for path in (encoder, decoder, codebook) if path is not None]
        if len(given) not in (0, 3):
            raise ConfigError(
                f"{len(given)} of the three official files were given; give encoder, decoder and "
                "codebook, or none of them to use the Hub"
            )
        if given:
            files = [Path(path) for path in given]
        else:
            files = download_official(
                token_rate,
                semantic_vocab_size,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                token=token,
            )
        config, state = load_official(*files, token_rate=token_rate)
        return cls._from_state(config, lambda: state, device, dtype)

    @classmethod
    def _from_state(
        cls,
        config: CodecConfig,
        read_state: Callable[[], dict[str, Tensor]],
        device: str | torch.device,
        dtype: str | torch.dtype,
    ) -> SemantiCodec:
        device, dtype = checked_device(device), checked_dtype(dtype)
        check_fork()
        with Uninitialized(), torch.device("cpu"):
            codec = cls(config)
            load_state(codec, read_state())
        codec.to(device)
        codec.decoder.to(dtype)
        return codec.eval().requires_grad_(False)

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, dtype: torch.dtype | None = None
    ) -> Path:
        """Write config.json and model.safetensors, which `from_pretrained` loads.

        Args:
            folder: created if missing.
            dtype: precision of the stored floats (None keeps theirs).
        """
        return write_model(folder, self.config, self.state_dict(), dtype=dtype)

    # ------------------------------------------------------------------ what it is

    @property
    def model_fingerprint(self) -> bytes:
        """8 bytes that name the encoder's weights as they are now; codes carry them."""
        return self._fingerprint.of(self.encoder)

    @model_fingerprint.setter
    def model_fingerprint(self, name: bytes) -> None:
        self._fingerprint.set(self.encoder, name)

    @property
    def num_codebooks(self) -> int:
        """Streams of codes: semantic and acoustic; `vocab_sizes` has their sizes."""
        return NUM_STREAMS

    @property
    def qualities(self) -> dict[str, SamplingConfig]:
        """The settings behind "draft", "standard" and "best"; some may be the same."""
        config = self.config.decoder
        return qualities(config.sampling, config.sampling_presets)

    @property
    def device(self) -> torch.device:
        """Where the codec computes."""
        return self.decoder.latent_scale.device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SemantiCodec:
        """Move all modules, and change the precision of the decoder alone."""

        def without_precision(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        for module in self.children():
            module._apply(fn if module is self.decoder else without_precision)
        return self

    def forward(self, audio: Audio, sample_rate: int | None = None) -> Float[Tensor, "B 1 S"]:
        """Return what is left of recordings after `encode` and `decode`.

        Args:
            audio: as `encode` takes it.
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
        encoder = self._recording_encoder()
        return Codes.cat(
            [
                self._codes(found.semantic, found.acoustic, [found.num_samples])
                for found in encoder.encode(recordings(audio, sample_rate))
            ]
        )

    def features(
        self, audio: Audio, layers: str = "all", sample_rate: int | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return the features behind the codes, one row per position, for downstream tasks.

        They carry no gradient themselves; a network on top of them can be trained.

        Args:
            audio: as `encode` takes it.
            layers: "all" = [acoustic, semantic] as the decoder sees them, "semantic" or
                "acoustic" alone, "continuous": AudioMAE before any quantizer, or "unquantized":
                as "all", with neither half quantized.
            sample_rate: Hz of arrays (default 16 000).
        Returns:
            float32 on the CPU; rows beyond a shorter item's own positions are zero.
        Raises:
            ConfigError: no such layers.
        """
        if layers not in FEATURE_LAYERS:
            raise ConfigError(f"layers is {layers!r}; choose one of {', '.join(FEATURE_LAYERS)}")
        encoder = self._recording_encoder()
        found = [encoder.features(each, layers) for each in recordings(audio, sample_rate)]
        return nn.utils.rnn.pad_sequence(found, batch_first=True)

    def encode_latent(self, audio: Audio, sample_rate: int | None = None) -> Latents:
        """Return what the two quantizers are given: `quantize` makes the codes of `encode` of it.

        Args:
            audio: as `encode` takes it.
            sample_rate: Hz of arrays (default 16 000).
        """
        encoder = self._recording_encoder()
        found = [encoder.latents(each) for each in recordings(audio, sample_rate)]
        return Latents(
            acoustic=nn.utils.rnn.pad_sequence([each.acoustic for each in found], True),
            semantic=nn.utils.rnn.pad_sequence([each.semantic for each in found], True),
            num_samples=tuple(each.num_samples for each in found),
        )

    def quantize(self, latents: Latents) -> Codes:
        """Return the codes of latents.

        Args:
            latents: from `encode_latent` of this model.
        Raises:
            CodesError: latents of another width or length.
        """
        self._check_rows(latents.acoustic, latents.semantic, latents.num_samples)
        encoder, items = self._recording_encoder(), []
        for acoustic, semantic, num_samples in zip(*latents, strict=True):
            length = self.format.num_positions(num_samples)
            codes = encoder.quantize(acoustic[:length], semantic[:length])
            items.append(self._codes(*codes, [num_samples]))
        return Codes.cat(items)

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
            partial: what becomes of a last column that is not whole: "refuse", "cut" it off, or
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

    def _codes(self, semantic: Tensor, acoustic: Tensor, num_samples: Sequence[int]) -> Codes:
        name = self.model_fingerprint
        return Codes(semantic, acoustic, num_samples, self.format, fingerprint=name)

    def _recording_encoder(self) -> RecordingEncoder:
        for parameter in self.encoder.parameters():
            if parameter.dtype != torch.float32:
                raise ConfigError(
                    f"the encoder has weights in {parameter.dtype}, in which codes would be "
                    "others; keep it in float32 and reduce the decoder alone, as codec.half() does"
                )
        return RecordingEncoder(
            fbank=self.fbank,
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
        `batch_size`); another number of threads changes rounding, up to 2 steps of 16-bit PCM.
        Samples may pass ±1 where the recording was loud; clip them before storing integers.

        Args:
            codes: from `encode` of this model; or ids as `codes_from` takes them.
            layout: layout of ids: "stacked", "paired" or "interleaved".
            sampling: how to sample: settings, or the name of a quality.
            quality: "draft", "standard" (default) or "best", in place of `sampling`; see
                `qualities`.
            seed: random seed of the initial noise and of what `eta` adds.
            noise: replaces the seeded noise: noise(window, draw) -> float32 [1, C, T, F].
            batch_size: windows of 10.24 s (or as much of shorter ones) computed together, of all
                items; an item then depends on the others by rounding. None: what the device has
                room for, on a CPU of one item.
            settings: single settings by name, such as num_steps=4 or guidance_scale=2.0; see
                `SamplingConfig` for all of them.
        Returns:
            On the CPU; items shorter than the longest are zero-padded at the end.
        Raises:
            CodesError: codes of another setting or model.
            ConfigError: no such setting, or one out of its range.
        """
        codes = self._own_codes(codes, layout)
        chosen = self.sampling(sampling, quality=quality, **settings)
        decoder = self._windows_decoder(chosen, seed, noise, batch_size)
        wavs = decoder.decode([self._coded_recording(item) for item in codes])
        return nn.utils.rnn.pad_sequence(wavs, batch_first=True).unsqueeze(1)

    def decode_stream(
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
    ) -> Iterator[Float[Tensor, "1 1 S"]]:
        """Return the samples of `decode` block by block, in memory that no length changes.

        Args: those of `decode`; `codes` holds one item.
        """
        codes = self._own_codes(codes, layout)
        if len(codes) != 1:
            raise CodesError(f"decode_stream takes one item, not {len(codes)}; pass codes[i]")
        chosen = self.sampling(sampling, quality=quality, **settings)
        decoder = self._windows_decoder(chosen, seed, noise, batch_size)
        blocks = decoder.stream(self._coded_recording(codes[0]))
        return (block.view(1, 1, -1) for block in blocks)

    def sampling(
        self,
        sampling: SamplingConfig | str | None = None,
        *,
        quality: str | None = None,
        **settings: SamplingValue,
    ) -> SamplingConfig:
        """Return how `decode` samples with these arguments, the model's defaults filled in."""
        if sampling is not None and quality is not None:
            raise ConfigError("sampling and quality were given; one of them says how to sample")
        config = self.config.decoder
        chosen = sampling or quality or "standard"
        return choose_sampling(config.sampling, config.sampling_presets, chosen, **settings)

    def dequantize(self, codes: Codes | Ids, *, layout: str = "stacked") -> Float[Tensor, "B L D"]:
        """Return the features that codes stand for: `features(audio, "all")` of encoded audio.

        Args:
            codes: codes or ids as `decode` takes them.
            layout: layout of ids.
        """
        found = []
        for item in self._own_codes(codes, layout):
            with undisturbed(self.device):
                streams = self._coded_recording(item).features(0, item.semantic.shape[1])
                features = torch.cat(streams, dim=-1)[0].float().cpu()
            found.append(trainable(features))
        return nn.utils.rnn.pad_sequence(found, batch_first=True)

    def decode_features(
        self,
        acoustic: Float[Tensor, "B L D"],
        semantic: Float[Tensor, "B L D"],
        num_samples: int | Sequence[int],
        sampling: SamplingConfig | str | None = None,
        *,
        quality: str | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        batch_size: int | None = None,
        **settings: SamplingValue,
    ) -> Float[Tensor, "B 1 S"]:
        """Return the waveforms of features in place of codes: the bounds of Table II.

        Args:
            acoustic: one row per position, as the first half of `features(..., "all")`.
            semantic: likewise, as the second half.
            num_samples: length of the result, or of every item's.
            sampling: this and the others as in `decode`.
            quality: see `decode`.
            seed: see `decode`.
            noise: see `decode`.
            batch_size: see `decode`.
            settings: see `decode`.
        Raises:
            CodesError: not as many rows as `num_samples` has positions, or another width.
        """
        is_one = isinstance(num_samples, int)
        lengths = [num_samples] * len(acoustic) if is_one else list(num_samples)
        self._check_rows(acoustic, semantic, lengths)
        items = [
            CodedRecording(
                features=lambda start, end, rows=rows: (
                    rows[0][None, start:end],
                    rows[1][None, start:end],
                ),
                num_positions=self.format.num_positions(length),
                num_samples=length,
            )
            for *rows, length in zip(acoustic, semantic, lengths, strict=True)
        ]
        chosen = self.sampling(sampling, quality=quality, **settings)
        wavs = self._windows_decoder(chosen, seed, noise, batch_size).decode(items)
        return nn.utils.rnn.pad_sequence(wavs, batch_first=True).unsqueeze(1)

    def decode_latent(
        self,
        latents: Latents,
        *,
        sampling: SamplingConfig | str | None = None,
        quality: str | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        batch_size: int | None = None,
        **settings: SamplingValue,
    ) -> Float[Tensor, "B 1 S"]:
        """Return the waveforms of latents that no quantizer has rounded, the codec's upper bound.

        Args: latents as `encode_latent` gives them; the others are those of `decode`.
        """
        with undisturbed(self.device):
            acoustic = self.encoder.quantizer.bypass(latents.acoustic.to(self.device)).cpu()
        return self.decode_features(
            acoustic,
            latents.semantic,
            latents.num_samples,
            self.sampling(sampling, quality=quality, **settings),
            seed=seed,
            noise=noise,
            batch_size=batch_size,
        )

    def _coded_recording(self, codes: Codes) -> CodedRecording:
        def features(start: int, end: int) -> tuple[Tensor, Tensor]:
            semantic = codes.semantic[:, start:end].to(self.device)
            acoustic = codes.acoustic[:, start:end].to(self.device)
            return self.encoder.quantized(semantic, acoustic, self.semantic_vocab_size)

        return CodedRecording(
            features=features,
            num_positions=codes.semantic.shape[1],
            num_samples=codes.num_samples[0],
        )

    def _windows_decoder(
        self,
        settings: SamplingConfig,
        seed: int,
        noise: WindowNoise | None,
        batch_size: int | None,
    ) -> WindowsDecoder:
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ConfigError(f"batch_size is {batch_size}; give 1 or more, or None")
        return WindowsDecoder(
            decoder=self.decoder,
            grid=self.format,
            pads_windows=self.config.pads_windows,
            settings=settings,
            noise=noise or seeded_noise(seed, (1, *self.config.decoder.latent_shape)),
            batch_size=batch_size,
        )

    def _own_codes(self, codes: Codes | Ids, layout: str) -> Codes:
        """Return codes, or ids as codes, that this model can decode.

        Raises:
            CodesError: neither, or of another setting or model.
        """
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
        ours = self.model_fingerprint
        if UNKNOWN_FINGERPRINT not in (codes.fingerprint, ours) and codes.fingerprint != ours:
            raise CodesError(
                f"the codes come from model {codes.fingerprint.hex()}, this is {ours.hex()}; "
                "decode them with the model that made them"
            )
        return codes

    def _check_rows(self, acoustic: Tensor, semantic: Tensor, num_samples: Sequence[int]) -> None:
        lengths = [self.format.num_positions(length) for length in num_samples]
        expected = (len(lengths), max(lengths, default=0), self.config.encoder.width)
        if tuple(acoustic.shape) != expected or tuple(semantic.shape) != expected:
            raise CodesError(
                f"acoustic features of shape {tuple(acoustic.shape)} and semantic features of "
                f"shape {tuple(semantic.shape)}; {', '.join(map(str, num_samples))} samples take "
                f"{expected} each"
            )
