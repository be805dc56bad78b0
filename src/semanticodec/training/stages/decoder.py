"""Training of the decoder as a whole, end to end, in one evaluation of the T-UNet.

window -> AudioMAE features, mel -> codes -> condition -> T-UNet, once -> VAE decoder -> mel
    -> vocoder -> generated              (before `unet_start`: condition -> its transformer -> mel)
loss = distance of the mels, level and detail, and of their envelopes
       + spectral and adversarial losses of the waveform
       + on request what a recognizer, or AudioMAE, hears in it

Latent diffusion trains every module on its own, toward what a perfect neighbor would need. Here
they learn to make up for one another, and the acoustic encoder to send what is heard. AudioMAE
and the semantic codebooks stay as they are. A step cuts a piece from each window: the decoder
sees all of it, the vocoder a random excerpt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from semanticodec.audio.envelope_distance import SEGMENT_FRAMES, envelope_distance
from semanticodec.audio.mel import HOP_LENGTH, NUM_MEL_BINS, Mel
from semanticodec.audio.mel_distance import mel_distance
from semanticodec.checkpoints.fingerprint import fingerprint
from semanticodec.checkpoints.pretrained import read_setting, read_weights
from semanticodec.checkpoints.trained_module import load_audiomae
from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.decoder.sampling import SamplingConfig, SamplingPresets
from semanticodec.encoder.encoder import EncoderOutput
from semanticodec.errors import ConfigError
from semanticodec.token_format import NUM_BANDS, PATCH_SAMPLES, WINDOW_SAMPLES
from semanticodec.training.cache import CachedSource, build_cache, useful_windows
from semanticodec.training.code_loss import relative_code_loss
from semanticodec.training.context_start import start_input
from semanticodec.training.data import Batch, Source, rand_per_item, randn_per_item
from semanticodec.training.discriminators import FrameDiscriminator
from semanticodec.training.feature_loss import AudioMAETeacher, FeatureLoss, WhisperTeacher
from semanticodec.training.features import FeatureExtractor, WindowFeatures
from semanticodec.training.mel_reader import MelReader
from semanticodec.training.monitor import Sample
from semanticodec.training.output_start import start_output
from semanticodec.training.pieces import (
    COLUMNS_PER_WINDOW,
    COLUMNS_TOGETHER,
    INT16_SCALE,
    Piece,
    cut_rows,
    random_piece,
)
from semanticodec.training.reader_start import start_reader
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.codec_rate import CodecRate, RateConfig
from semanticodec.training.stages.codec_rates import (
    keep_told,
    rate_of_step,
    rate_suffix,
    start_codes,
    write_codec,
)
from semanticodec.training.stages.finished_codec import (
    FinishedCodec,
    load_part,
    read_codecs,
    trainable_vocoder,
    with_context,
    with_semantics,
    with_sight_of_mel,
    with_told,
)
from semanticodec.training.stages.modules import codebook_names
from semanticodec.training.stages.waveform import DISCRIMINATORS, WaveformStage, WeightedLoss
from semanticodec.training.windows import NORMAL_SPEED, WindowSource

CACHE_BATCH = 8
# For regressions, and for k-means: with few vectors per code it learns them by heart.
MAP_WINDOWS = 300
CODE_WINDOWS = 600
CACHED = [*WindowFeatures._fields, "samples"]
NEVER = 1 << 62
# Name of a module, and of its loss.
RECOGNIZER = "recognizer"
ONE_STEP = SamplingConfig(num_steps=1, guidance_scale=1.0, eta=0.0, timestep_shift=1.0)


class DecoderStage(WaveformStage):
    """Trains everything right of the codes, on request the acoustic encoder too."""

    config: Config
    rates: Sequence[CodecRate]

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(WaveformStage.Config):
        """What is trained and on which losses.

        Attributes:
            trains_acoustic: whether the acoustic encoder and its codebook are trained, too.
            renews_acoustic: whether the acoustic encoder is given sight of the mel and starts
                anew with its codebook, see `start_axes`; files of the model that it came
                from are then not decodable.
            acoustic_start: first step in which the acoustic encoder is trained. Until then the
                decoder learns to read its codes.
            is_code_space_fixed: whether the quantizer's projections stay as they start.
            unquantized_share: share of the items whose condition is not quantized.
            piece_columns: length of a piece in steps of 0.16 s.
            context_transformer: sizes of a transformer that the T-UNet's condition is given, in
                addition; None where it has one, or is to have none.
            starts_output: whether the T-UNet starts at a regression of the latent on the condition
                and its transformer, see `start_output`: on an export of a run without T-UNet.
            unet_start: first step with T-UNet and VAE. Until then a mel is read from the
                context transformer, which with the acoustic encoder is all that is trained.
            vocoder_start: first step with the vocoder and the losses of the waveform.
            vocoder_frames: length of the vocoder's excerpt of a piece, in frames of 10 ms.
            frame_weight: weight of the mean absolute difference of the log mels (64 bins).
            detail_weight: weight of that of their detail (bins minus smoothing over five).
            envelope_weight: weight of what the envelopes of the mel's bands lack in correlation
                with the recording's, see `envelope_distance`; 0 leaves it out.
            level_range_db: dB below the loudest sound around it at which a cell of the mel counts
                least, see `level_weights`.
            code_weight: weight of `relative_code_loss`, which is small: commitment has a weight of
                its own and is a mean over the axes. Without it the acoustic encoder runs away
                from its codebook.
            frames: sizes of a discriminator that judges mels, in place of those of waveforms, by
                the frames that the given vocoder makes of them; None without.
            recognizer_weight: weight of the difference to what a recognizer makes of the recording,
                where one is given, see `WhisperTeacher`.
            semantic_weight: weight of the difference to AudioMAE's features of the recording; 0
                leaves it out.
            cached_windows: windows at most for which AudioMAE's results are kept in RUN/cache,
                see `useful_windows`.
            cache_seed: random seed of the places of these windows.
            joined_share: share of the windows in which short recordings follow one another.
            speeds: lowest and highest speed that windows are played at, see `WindowSource`.
        """

        trains_acoustic: bool = False
        renews_acoustic: bool = False
        acoustic_start: int = 0
        is_code_space_fixed: bool = True
        unquantized_share: float = 0.0
        piece_columns: int = 16
        context_transformer: ContextTransformer.Config | None = None
        starts_output: bool = False
        unet_start: int = 0
        vocoder_start: int = 0
        vocoder_frames: int = 80
        frame_weight: float = 15.0
        detail_weight: float = 30.0
        envelope_weight: float = 0.0
        level_range_db: float = 60.0
        code_weight: float = 7e4
        frames: FrameDiscriminator.Config | None = None
        recognizer_weight: float = 20.0
        semantic_weight: float = 0.0
        cached_windows: int = 3000
        cache_seed: int = 0
        joined_share: float = 0.5
        speeds: tuple[float, float] = NORMAL_SPEED

        def __post_init__(self) -> None:
            frames = self.piece_columns * PATCH_SAMPLES // HOP_LENGTH
            if self.piece_columns % COLUMNS_TOGETHER or not (
                COLUMNS_TOGETHER <= self.piece_columns <= COLUMNS_PER_WINDOW
            ):
                raise ConfigError(
                    f"Pieces of {self.piece_columns} columns are not possible; choose an even "
                    f"number up to {COLUMNS_PER_WINDOW}."
                )
            if not 1 <= self.vocoder_frames <= frames:
                raise ConfigError(
                    f"The vocoder cannot see {self.vocoder_frames} frames of a piece of {frames}; "
                    f"choose 1 to {frames}."
                )
            if self.envelope_weight > 0 and frames < SEGMENT_FRAMES:
                raise ConfigError(
                    f"Pieces of {frames} frames are too short for envelopes, which are compared "
                    f"over {SEGMENT_FRAMES}: choose piece_columns of 4 or more, or "
                    "envelope_weight=0."
                )

    @classmethod
    def build(cls, config: Config, modules: Mapping[str, Path]) -> DecoderStage:
        """Make the stage on a complete codec, on request with other modules.

        Args:
            config: settings of the training.
            modules: `codec`, a model folder; if wanted `vocoder`, the export of one,
                `discriminators` of another run, `recognizer` to teach words (a Whisper in
                transformers' form), `audiomae` with a codebook of its features for every token
                rate (`codebook`, or `codebook_100` and so on).
        Raises:
            ConfigError: the codec is missing, another module was given, or new semantic codes
                without new acoustic ones.
            CheckpointError: one cannot be read.
        """
        if "codec" not in modules:
            raise ConfigError(
                f"The decoder stage starts from a codec, but got {', '.join(modules) or 'nothing'}"
                "; give --module codec=MODEL."
            )
        codecs = read_codecs(modules["codec"])
        factors = tuple(codec.config.encoder.stack_factor for codec in codecs)
        books = codebook_names(modules, factors) if "audiomae" in modules else {}
        unknown = set(modules) - {"codec", "vocoder", DISCRIMINATORS, RECOGNIZER}
        unknown -= {"audiomae"} if books else set()
        if unknown != set(books.values()):
            raise ConfigError(
                f"The decoder stage got the modules {', '.join(modules)}. Give codec, vocoder if "
                "it is not to be the codec's own, discriminators if they are not to start fresh, "
                "recognizer if one is to teach, and audiomae with a codebook for every token rate "
                "if semantic codes are to start anew."
            )
        if books and not config.renews_acoustic:
            raise ConfigError(
                "Acoustic codes carry what semantic codes leave out: with other codebooks they "
                "have to start anew, too. Use a recipe with renews_acoustic=True."
            )
        if books:
            audiomae = load_audiomae(modules["audiomae"])
            codecs = [
                with_semantics(codec, audiomae, modules[books[factor]])
                for codec, factor in zip(codecs, factors, strict=True)
            ]
        stage = cls(config, codecs, modules.get("vocoder"))
        stage.restore_discriminators(modules.get(DISCRIMINATORS))
        if RECOGNIZER in modules:
            teacher = WhisperTeacher(modules[RECOGNIZER])
            stage.feature_losses[RECOGNIZER] = WeightedLoss(
                config.recognizer_weight, FeatureLoss(teacher)
            )
        return stage

    def __init__(
        self,
        config: Config,
        codecs: Sequence[FinishedCodec],
        vocoder: Path | None = None,
    ) -> None:
        super().__init__(config)
        self.decoder = codecs[0].decoder
        self.features = FeatureExtractor(codecs[0].encoder.audiomae)
        self.mel = Mel()
        if vocoder is not None:
            self.decoder.vocoder = trainable_vocoder(vocoder)
        settings = RateConfig(
            acoustic_start=config.acoustic_start if config.trains_acoustic else NEVER,
            is_code_space_fixed=config.is_code_space_fixed,
            unquantized_share=config.unquantized_share,
        )
        conditions = [codec.decoder.condition for codec in codecs]
        encoders = [codec.encoder for codec in codecs]
        if config.renews_acoustic:
            encoders = [with_sight_of_mel(encoder) for encoder in encoders]
            conditions = [
                with_told(condition, encoder.config.acoustic)
                for condition, encoder in zip(conditions, encoders, strict=True)
            ]
        self.decoder.condition = conditions[0]
        if config.renews_acoustic or config.context_transformer is not None:
            self.decoder.unet = with_context(
                self.decoder.unet, conditions[0].config.context_width, config.context_transformer
            )
        rates = []
        for codec, encoder, condition in zip(codecs, encoders, conditions, strict=True):
            own = dataclasses.replace(
                codec.config.decoder,
                condition=condition.config,
                unet=self.decoder.unet.config,
                vocoder=self.decoder.vocoder.config,
                sampling=ONE_STEP,
                sampling_presets=SamplingPresets(),
            )
            rate = dataclasses.replace(codec.config, encoder=encoder.config, decoder=own)
            rates.append(CodecRate(settings, rate, encoder, condition))
        keep_told(rates)
        self.frames = None
        if config.frames is not None:
            self.frames = FrameDiscriminator(config.frames, self.decoder.vocoder)
        self.reader = self._reader() if config.unet_start else None
        if config.starts_output:
            self._check_output()
        modules = nn.ModuleList(rates)
        self.rates = cast("Sequence[CodecRate]", modules)
        self.is_started = False  # from an export, with codes of its own
        self.features.requires_grad_(False)
        if config.semantic_weight > 0:
            teacher = AudioMAETeacher(self.features.audiomae)
            self.feature_losses["semantics"] = WeightedLoss(
                config.semantic_weight, FeatureLoss(teacher)
            )
        if not config.trains_acoustic:
            modules.requires_grad_(False)

    def _reader(self) -> MelReader:
        transformer = self.decoder.unet.context_transformer
        if transformer is None:
            raise ConfigError(
                "A T-UNet without a context transformer has to take part from the first step: set "
                "unet_start=0, or context_transformer to sizes of one."
            )
        sizes = transformer.config
        width = self.decoder.unet.config.context_width
        return MelReader(width, sizes.width, sizes.num_bands, NUM_MEL_BINS)

    def _check_output(self) -> None:
        if self.decoder.unet.output_from_context is None:
            raise ConfigError(
                "starts_output needs a T-UNet with an aligned condition and a context transformer; "
                "train decoder/small_context first."
            )
        if not self.decoder.vae.config.patch_shortcut:
            raise ConfigError(
                "starts_output needs a VAE with a linear shortcut, whose latents can be told from "
                "a mel; this codec's has none. Set starts_output=False."
            )

    def train(self, mode: bool = True) -> DecoderStage:
        """Leave a codebook alone that is not trained: in training it would follow its vectors."""
        super().train(mode)
        if not self.config.trains_acoustic:
            for rate in self.rates:
                rate.encoder.eval()
        return self

    @torch.no_grad()
    def initialize(self, folder: Path) -> None:
        """Start from an export of this stage with the same sizes and rates."""
        for rate in self.rates:
            setting, files = read_setting(folder, rate.config.token_rate)
            weights = read_weights(files, setting)
            load_part(rate.encoder, weights, "encoder.", folder)
            load_part(rate.condition, weights, "decoder.condition.", folder)
            if rate is self.rates[0]:
                load_part(self.decoder, weights, "decoder.", folder)
        self.is_started = True

    def prepare(
        self, source: Source, *, folder: Path, is_resumed: bool, show_progress: bool = True
    ) -> Source:
        """Put the cache before the source, and start codes anew where they are to be."""
        config = self.config
        assert isinstance(source, WindowSource), type(source)
        self.eval()
        varied = source.varied(config.joined_share, config.speeds)
        cache = build_cache(
            folder / "cache",
            varied,
            self._frozen,
            num_windows=useful_windows(varied, config.cached_windows),
            seed=config.cache_seed,
            batch_size=CACHE_BATCH,
            device=self.decoder.latent_scale.device,
            origin={"audiomae": self._audiomae_digest(), "contents": CACHED},
            show_progress=show_progress,
        )
        if not is_resumed:
            self._start(cache, show_progress)
        return cache

    def _start(self, cache: CachedSource, show_progress: bool) -> None:
        """Start in closed form what is new."""
        config = self.config
        has_new_codes = config.renews_acoustic and not self.is_started
        if has_new_codes:
            start_codes(
                self.rates,
                lambda count: self._examples(cache, count),
                num_map_windows=MAP_WINDOWS,
                num_code_windows=CODE_WINDOWS,
                seed=config.cache_seed,
                show_progress=show_progress,
            )
        is_added = has_new_codes and config.context_transformer is not None
        if not (is_added or self.reader is not None or config.starts_output):
            return
        contexts = list(self._contexts(cache))
        if is_added:
            self._start_transformer(contexts)
        if self.reader is not None:
            transformer = self.decoder.unet.context_transformer
            start_reader(self.reader, contexts, None if is_added else transformer)
        if config.starts_output:
            start_output(self.decoder, contexts)

    def _contexts(self, cache: CachedSource) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the condition of windows at every rate, in whole columns, and their mels."""
        for rate in self.rates:
            for _, inputs in self._examples(cache, MAP_WINDOWS):
                rows = rate.context_rows(inputs)
                yield rows[None, : len(rows) // NUM_BANDS * NUM_BANDS], inputs["mel"].float()

    def _examples(self, cache: CachedSource, count: int) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield the cached results of random windows, with the windows' numbers."""
        device = self.decoder.latent_scale.device
        order = np.random.default_rng(self.config.cache_seed).permutation(len(cache))
        for number in order[:count].tolist():
            item = cache.window(number)
            yield (
                number,
                {name: torch.from_numpy(value)[None].to(device) for name, value in item.items()},
            )

    def _start_transformer(self, contexts: Sequence[tuple[Tensor, Tensor]]) -> None:
        transformer = self.decoder.unet.context_transformer
        assert transformer is not None
        rows = torch.cat([context[0] for context, _ in contexts])
        start_input(transformer, rows, self.decoder.condition.config.stream_widths)

    @torch.no_grad()
    def _frozen(
        self, wav: Float[Tensor, "B S"], num_samples: Int[Tensor, " B"]
    ) -> dict[str, Tensor]:
        """Return AudioMAE's side of windows and the windows themselves, in 16 bits."""
        window = wav[:, :WINDOW_SAMPLES].clamp(-1.0, 1.0)
        samples = (window * INT16_SCALE).round().to(torch.int16)
        return {**self.features(wav, num_samples)._asdict(), "samples": samples}

    def _audiomae_digest(self) -> str:
        state = self.features.audiomae.state_dict()
        return fingerprint(
            {f"encoder.audiomae.{name}": value for name, value in state.items()}
        ).hex()

    def generators(self) -> Sequence[nn.Module]:
        """Return the decoder's modules, and the acoustic encoders if they are trained."""
        modules: list[nn.Module] = [self.decoder.unet, self.decoder.vae, self.decoder.vocoder]
        if self.reader is not None:
            modules.append(self.reader)
        if self.config.trains_acoustic:
            for rate in self.rates:
                modules.append(rate.encoder.acoustic)
                if not self.config.is_code_space_fixed:
                    modules.append(rate.encoder.quantizer)
        return modules

    @property
    def judges_waveforms(self) -> bool:
        """Whether the discriminators are given waveforms, not mels."""
        return self.frames is None

    def named_discriminators(self) -> dict[str, nn.Module]:
        """Return the discriminators of waveforms, or that of mels."""
        return super().named_discriminators() if self.frames is None else {"frames": self.frames}

    def is_adversarial(self, step: int) -> bool:
        """Say whether the discriminators take part: not before there is what they judge."""
        has_begun = self.hears(step) or not self.judges_waveforms
        return has_begun and super().is_adversarial(step)

    def hears(self, step: int) -> bool:
        """Say whether a step goes on to the waveform."""
        return step >= max(self.config.vocoder_start, self.config.unet_start)

    def generator_step(self, batch: Batch) -> StepOutput:
        """Return the loss of the decoded pieces; of several rates, values name theirs."""
        config = self.config
        rate = rate_of_step(self.rates, batch.step)
        piece = random_piece(batch, config.piece_columns)
        mel, encoded = self._decoded(rate, piece, batch)
        with torch.autocast(mel.device.type, enabled=False):
            target = self.mel(piece.wav)
            of_mel = self._mel_loss(mel.float(), target)
        loss = of_mel.loss
        if config.trains_acoustic:
            loss = loss + config.code_weight * relative_code_loss(encoded)
        scalars = {**of_mel.scalars, **encoded.losses, **rate.follow_use(encoded)}
        if self.is_adversarial(batch.step) and not self.judges_waveforms:
            judged = self.judged(batch, target, mel.float())
            loss = loss + judged.loss
            scalars |= judged.scalars
        if self.hears(batch.step):
            heard = self.waveform_loss(batch, self.decoder.vocoder, *self._heard(batch, piece, mel))
            loss = loss + heard.loss
            scalars |= heard.scalars
        suffix = rate_suffix(self.rates, rate)
        return StepOutput(
            loss=loss, scalars={f"{name}{suffix}": value for name, value in scalars.items()}
        )

    def _mel_loss(self, mel: Float[Tensor, "B T M"], target: Float[Tensor, "B T M"]) -> StepOutput:
        """Return the loss of decoded mels."""
        config = self.config
        frame, detail = mel_distance(mel, target, config.level_range_db)
        loss = config.frame_weight * frame + config.detail_weight * detail
        scalars: dict[str, Tensor | float] = {"frame": frame, "detail": detail}
        if config.envelope_weight > 0:
            envelope = envelope_distance(mel, target)
            loss = loss + config.envelope_weight * envelope
            scalars |= {"envelope": envelope}
        return StepOutput(loss=loss, scalars=scalars)

    def _decoded(
        self, rate: CodecRate, piece: Piece, batch: Batch
    ) -> tuple[Float[Tensor, "B T M"], EncoderOutput]:
        """Return the mel of pieces after coding, and what the encoder makes of them."""
        inputs = rate.stacked(piece.inputs)
        encoded = rate.encode(inputs, batch)
        rows_per_column = rate.condition.config.max_positions // COLUMNS_PER_WINDOW
        first_rows = piece.first_columns * rows_per_column
        context = rate.context(encoded, inputs["num_positions"], batch, first_rows)
        if batch.step < self.config.unet_start:
            assert self.reader is not None and self.decoder.unet.context_transformer is not None
            return self.reader(context, self.decoder.unet.context_transformer(context)), encoded
        channels, frames, bins = self.decoder.config.latent_shape
        shape = (channels, frames * self.config.piece_columns // COLUMNS_PER_WINDOW, bins)
        noise = randn_per_item(batch.generators, shape, context.device)
        latent = self.decoder.sample(context, lambda draw: noise, ONE_STEP)
        return self.decoder.mel(latent), encoded

    def _heard(
        self, batch: Batch, piece: Piece, mel: Float[Tensor, "B T M"]
    ) -> tuple[Float[Tensor, "B T2 M"], Float[Tensor, "B S"]]:
        """Return the mel of a random excerpt, and the recording there."""
        frames = self.config.vocoder_frames
        drawn = rand_per_item(batch.generators, (), mel.device)
        first = (drawn * (mel.shape[1] - frames + 1)).long()
        real = cut_rows(piece.wav, first * HOP_LENGTH, frames * HOP_LENGTH)
        return cut_rows(mel, first, frames), real

    @torch.no_grad()
    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return a piece and what each rate makes of it."""
        one = dataclasses.replace(
            batch,
            wav=batch.wav[:1],
            generators=batch.generators[:1],
            extra={name: tensor[:1] for name, tensor in batch.extra.items()},
        )
        piece = random_piece(one, self.config.piece_columns)
        shown = {"original": Sample(spectrogram=self.mel(piece.wav)[0], wav=piece.wav[0])}
        for rate in self.rates:
            mel, _ = self._decoded(rate, piece, one)
            wav = self.decoder.waveform(mel)
            name = f"decoded{rate_suffix(self.rates, rate)}"
            shown[name] = Sample(spectrogram=mel[0].float(), wav=wav[0])
        return shown

    def export(self, folder: Path) -> None:
        """Write one model of all rates, which `SemantiCodec.from_pretrained` loads."""
        write_codec(folder, self.rates, self.features.audiomae, self.decoder)
