"""The codec: wav -> tokens -> wav, the two chains of the paper's Figure 2 joined.

encode: recordings -> RecordingEncoder (windows -> fbank -> Encoder) -> Codes
decode: Codes -> WindowsDecoder (overlapping windows -> Decoder -> overlap-add) -> wav
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.fbank import Fbank
from semanticodec.audio.io import Audio, recordings
from semanticodec.checkpoints.hub import download_official
from semanticodec.checkpoints.official import load_official
from semanticodec.checkpoints.pretrained import (
    choose_vocabulary,
    fingerprint,
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
from semanticodec.decoder.sampling import SamplingConfig, choose_sampling
from semanticodec.decoding import Item, WindowsDecoder
from semanticodec.encoder.encoder import FEATURE_LAYERS, Encoder
from semanticodec.encoding import RecordingEncoder
from semanticodec.errors import CodesError, ConfigError
from semanticodec.layers.stacking import num_positions
from semanticodec.layers.uninitialized import Uninitialized
from semanticodec.runtimes.onednn import use_onednn

SAMPLE_RATE = 16_000


class SemantiCodec(nn.Module):
    """Encoder and decoder of one setting: a token rate and a semantic vocabulary.

    Build it with `from_pretrained` or `from_official`. `to(device)` moves it; encoding runs in the
    encoder's precision (float32 unless asked otherwise), so codes do not depend on the decoder's.
    """

    def __init__(
        self, config: CodecConfig, *, model_fingerprint: bytes = UNKNOWN_FINGERPRINT
    ) -> None:
        super().__init__()
        if len(config.encoder.semantic.vocab_sizes) != 1:
            raise ConfigError(
                f"a codec has one semantic vocabulary, not {config.encoder.semantic.vocab_sizes}; "
                "choose one with semantic_vocab_size"
            )
        self.config = config
        self.model_fingerprint = model_fingerprint
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
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
    ) -> SemantiCodec:
        """Return the built-in model, or one from a folder or the Hub.

        Args:
            source: None for the built-in model; a folder with config.json; or a Hub id.
            token_rate: 25, 50 or 100 where the model offers several (default: its own).
            semantic_vocab_size: where it offers several (default: the largest).
            device: where to compute.
            dtype: precision of everything after the quantizers; the encoder stays float32.
            revision: branch, tag or commit of a Hub model.
        Raises:
            CheckpointError: files missing, damaged or of another model.
            ConfigError: a setting that the model does not offer.
        """
        config, files = read_setting(model_folder(source, revision), token_rate)
        config = choose_vocabulary(config, semantic_vocab_size)
        return cls._from_state(config, read_weights(files, config), device, dtype)

    @classmethod
    def from_official(
        cls,
        *,
        encoder: str | os.PathLike[str] | None = None,
        decoder: str | os.PathLike[str] | None = None,
        codebook: str | os.PathLike[str] | None = None,
        token_rate: int = 100,
        semantic_vocab_size: int = 16384,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
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
            revision: branch, tag or commit on the Hub.
            device: where to compute.
            dtype: precision of everything after the quantizers.
        Raises:
            CheckpointError: a file that is missing, truncated, unsafe or of another model.
            ConfigError: some of the three files given, but not all.
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
            files = download_official(token_rate, semantic_vocab_size, revision=revision)
        config, state = load_official(*files, token_rate=token_rate)
        return cls._from_state(config, state, device, dtype)

    @classmethod
    def _from_state(
        cls,
        config: CodecConfig,
        state: dict[str, Tensor],
        device: str | torch.device,
        dtype: torch.dtype,
    ) -> SemantiCodec:
        with Uninitialized():
            codec = cls(config, model_fingerprint=fingerprint(state))
        load_state(codec, state)
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

    @property
    def sample_rate(self) -> int:
        """Samples per second: 16 000."""
        return SAMPLE_RATE

    @property
    def token_rate(self) -> int:
        """Tokens per second, both streams together."""
        return self.config.token_rate

    @property
    def num_codebooks(self) -> int:
        """Streams of codes: semantic and acoustic."""
        return 2

    @property
    def frame_rate(self) -> float:
        """Positions per second; each carries one semantic and one acoustic code."""
        return self.token_rate / self.num_codebooks

    @property
    def semantic_vocab_size(self) -> int:
        """Entries of the semantic codebook."""
        return self.config.encoder.semantic.vocab_sizes[0]

    @property
    def acoustic_vocab_size(self) -> int:
        """Entries of the acoustic codebook."""
        return self.config.encoder.quantizer.codebook_size

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes (paper Table I)."""
        bits = math.log2(self.semantic_vocab_size) + math.log2(self.acoustic_vocab_size)
        return bits * self.frame_rate

    @property
    def device(self) -> torch.device:
        """Where the codec computes."""
        return self.decoder.latent_scale.device

    # ------------------------------------------------------------------ wav -> codes

    @torch.inference_mode()
    def encode(self, audio: Audio, sample_rate: int | None = None) -> Codes:
        """Return the codes of one or more recordings of any length.

        An item's codes never depend on its batch, though windows are computed together.

        Args:
            audio: a path; array or tensor [S], [C, S] or [B, C, S]; or a list of these. Channels
                are averaged, integers scaled, other rates resampled. A path is read in blocks.
            sample_rate: Hz of arrays (default 16 000); files state their own.
        Returns:
            Codes of all items, L positions each: ceil(S / 2560) * 8 at 100 tokens per second.
        Raises:
            AudioError: not audio, NaN, or shorter than 400 samples (25 ms) at 16 kHz.
        Source: paper Sec. III-C, Eq. (1)-(3); long audio Sec. IV-D.
        """
        encoder = self._recording_encoder()
        return Codes.cat(
            [
                Codes(
                    semantic=codes.semantic,
                    acoustic=codes.acoustic,
                    num_samples=(codes.num_samples,),
                    token_rate=self.token_rate,
                    semantic_vocab_size=self.semantic_vocab_size,
                    acoustic_vocab_size=self.acoustic_vocab_size,
                    sample_rate=SAMPLE_RATE,
                    fingerprint=self.model_fingerprint,
                )
                for codes in encoder.encode(recordings(audio, sample_rate))
            ]
        )

    @torch.inference_mode()
    def features(
        self, audio: Audio, layers: str = "all", sample_rate: int | None = None
    ) -> Float[Tensor, "B L D"]:
        """Return the features behind the codes, one row per position, for downstream tasks.

        Args:
            audio: as `encode` takes it.
            layers: "all" = [acoustic, semantic] as the decoder sees them, "semantic" or
                "acoustic" alone, "continuous": AudioMAE before any quantizer, or "unquantized":
                as "all", with neither half quantized.
            sample_rate: Hz of arrays (default 16 000).
        Returns:
            float32; rows beyond a shorter item's own positions are zero.
        Raises:
            ConfigError: no such layers.
        """
        if layers not in FEATURE_LAYERS:
            raise ConfigError(f"layers is {layers!r}; choose one of {', '.join(FEATURE_LAYERS)}")
        encoder = self._recording_encoder()
        items = [encoder.features(blocks, layers) for blocks in recordings(audio, sample_rate)]
        return nn.utils.rnn.pad_sequence(items, batch_first=True)

    def _recording_encoder(self) -> RecordingEncoder:
        return RecordingEncoder(
            fbank=self.fbank,
            encoder=self.encoder,
            vocab_size=self.semantic_vocab_size,
            pads_windows=self.config.pads_windows,
        )

    # ------------------------------------------------------------------ codes -> wav

    def decode(
        self,
        codes: Codes,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        quality: str = "standard",
        guidance_interval: tuple[float, float] | None = None,
        batch_size: int | None = None,
    ) -> Float[Tensor, "B 1 S"]:
        """Return the waveform of every item, float32, exactly `num_samples` long.

        The same seed gives the same waveform for an item wherever it stands in a batch (but see
        `batch_size`).

        Args:
            codes: from `encode` of this model.
            num_steps: network evaluations per window, 1..1000 (None, here and below: as the
                model says for the quality).
            guidance_scale: 1 turns guidance off (Eq. 10).
            sampler: "ddim", "dpm++2m" or "unipc".
            eta: 0 (deterministic) to 1; "unipc" takes 0 only.
            seed: of the noise.
            noise: replaces the seeded noise: noise(window, draw) -> float32 [1, C, T, F].
            quality: "draft", "standard" or "best", see `choose_sampling`.
            guidance_interval: guided part of the timesteps, from 0 (clean) to 1 (pure noise).
            batch_size: windows of 10.24 s (or as much of shorter ones) computed together, of all
                items; an item then depends on the others by rounding. None: what the device has
                room for, on a CPU of one item.
        Returns:
            Items shorter than the longest are zero-padded at the end.
        Raises:
            CodesError: codes of another setting or model.
            ConfigError: a setting out of its range.
        """
        self._check_codes(codes)
        chosen = self.sampling(num_steps, guidance_scale, sampler, eta, quality, guidance_interval)
        decoder = self._windows_decoder(chosen, seed, noise, batch_size)
        wavs = decoder.decode([self._item(codes[index]) for index in range(len(codes))])
        return nn.utils.rnn.pad_sequence(wavs, batch_first=True).unsqueeze(1)

    def decode_stream(
        self,
        codes: Codes,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        seed: int = 0,
        noise: WindowNoise | None = None,
        quality: str = "standard",
        guidance_interval: tuple[float, float] | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Float[Tensor, "1 1 S"]]:
        """Yield the samples of `decode` block by block, in memory that no length changes.

        Args: those of `decode`; `codes` holds one item.
        """
        self._check_codes(codes)
        if len(codes) != 1:
            raise CodesError(f"decode_stream takes one item, not {len(codes)}; pass codes[i]")
        chosen = self.sampling(num_steps, guidance_scale, sampler, eta, quality, guidance_interval)
        decoder = self._windows_decoder(chosen, seed, noise, batch_size)
        for block in decoder.stream(self._item(codes[0])):
            yield block.view(1, 1, -1)

    def sampling(
        self,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        sampler: str | None = None,
        eta: float | None = None,
        quality: str = "standard",
        guidance_interval: tuple[float, float] | None = None,
    ) -> SamplingConfig:
        """Return how `decode` samples with these arguments, the model's defaults filled in."""
        config = self.config.decoder
        asked = num_steps, guidance_scale, sampler, eta, guidance_interval
        return choose_sampling(config.sampling, config.sampling_presets, quality, *asked)

    def decode_features(
        self,
        acoustic: Float[Tensor, "1 L D"],
        semantic: Float[Tensor, "1 L D"],
        num_samples: int,
        settings: SamplingConfig | None = None,
        seed: int = 0,
    ) -> Float[Tensor, "1 1 S"]:
        """Return the waveform of features in place of codes: the bounds of Table II.

        Args:
            acoustic: one row per position, as the first half of `features(..., "all")`.
            semantic: likewise, as the second half.
            num_samples: of the result.
            settings: from `sampling`; None: the model's.
            seed: of the noise.
        Raises:
            CodesError: not as many rows as `num_samples` has positions, or another width.
        """
        length = num_positions(num_samples, self.config.encoder.stack_factor)
        expected = (1, length, self.config.encoder.width)
        if tuple(acoustic.shape) != expected or tuple(semantic.shape) != expected:
            raise CodesError(
                f"acoustic features of shape {tuple(acoustic.shape)} and semantic features of "
                f"shape {tuple(semantic.shape)}; {num_samples} samples take {expected} each"
            )

        item = Item(
            features=lambda start, end: (acoustic[:, start:end], semantic[:, start:end]),
            num_positions=length,
            num_samples=num_samples,
        )
        decoder = self._windows_decoder(settings or self.sampling(), seed)
        return decoder.decode([item])[0].view(1, 1, -1)

    def _item(self, codes: Codes) -> Item:
        def features(start: int, end: int) -> tuple[Tensor, Tensor]:
            semantic = codes.semantic[:, start:end].to(self.device)
            acoustic = codes.acoustic[:, start:end].to(self.device)
            return self.encoder.quantized(semantic, acoustic, self.semantic_vocab_size)

        length = codes.semantic.shape[1]
        return Item(features=features, num_positions=length, num_samples=codes.num_samples[0])

    def _windows_decoder(
        self,
        settings: SamplingConfig,
        seed: int,
        noise: WindowNoise | None = None,
        batch_size: int | None = None,
    ) -> WindowsDecoder:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; give 1 or more, or None")
        shape = (1, *self.config.decoder.latent_shape)
        return WindowsDecoder(
            decoder=self.decoder,
            stack_factor=self.config.encoder.stack_factor,
            pads_windows=self.config.pads_windows,
            settings=settings,
            noise=noise or seeded_noise(seed, shape),
            batch_size=batch_size,
        )

    def _check_codes(self, codes: Codes) -> None:
        if not isinstance(codes, Codes):
            raise CodesError(
                f"{type(codes).__name__} is not Codes; build them with Codes.from_stacked, "
                "from_interleaved or Codes.load"
            )
        for name in ("token_rate", "semantic_vocab_size", "acoustic_vocab_size"):
            theirs, ours = getattr(codes, name), getattr(self, name)
            if theirs != ours:
                raise CodesError(
                    f"the codes have {name} {theirs}, this model has {ours}; "
                    "decode them with a model of their own setting"
                )
        known = UNKNOWN_FINGERPRINT not in (codes.fingerprint, self.model_fingerprint)
        if known and codes.fingerprint != self.model_fingerprint:
            raise CodesError(
                f"the codes come from model {codes.fingerprint.hex()}, this is "
                f"{self.model_fingerprint.hex()}; decode them with the model that made them"
            )
