"""Joint training of acoustic encoder, acoustic codebook and T-UNet, all other boxes frozen.

window -> AudioMAE features ----> semantic codebook, acoustic encoder + codebook -> context
       -> VAE latent, plus noise --------------------------------------> T-UNet -> velocity
loss = mean squared error of the velocity + commitment (+ entropy of the codes)      (Eq. 11)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.audio.fbank import WINDOW_SAMPLES, Fbank
from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.pretrained import read_setting, read_weights, write_model
from semanticodec.decoder.decoder import Decoder, SamplingConfig
from semanticodec.decoder.schedule import Schedule, shift_time
from semanticodec.decoder.unet import TUNet
from semanticodec.encoder.encoder import Encoder, EncoderOutput, mask_padding, valid_mask
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CheckpointError
from semanticodec.training import distributed
from semanticodec.training.cache import (
    NORMAL_SPEED,
    CachedSource,
    WindowSource,
    build_cache,
    window_features,
)
from semanticodec.training.data import Batch, Source, rand_per_item, randn_per_item
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import Stage, StepOutput
from semanticodec.training.stages.complete_config import complete_config
from semanticodec.training.stages.modules import FrozenModules, load_modules

TRAINED = ("encoder.acoustic.", "encoder.quantizer.", "decoder.unet.")
MEASURED = ("decoder.latent_scale", "decoder.preconditioning.")
# From here on (of 1000) the input is nearly pure noise, and only the codes can tell the latent.
NEAR_NOISE = 0.9
PROBE_EVERY = 10
USE_DECAY = 0.995
SCALE_WINDOWS = 256
UNCACHED_WINDOWS = 16
# For each patch that a position joins: stacked features are fewer, and no easier to cluster.
CODE_WINDOWS = 512
CACHE_BATCH = 8
SAMPLE_ITEMS = 2
MAX_SAMPLE_STEPS = 10
# Separates the draw of the vocabulary from all other numbers of a step.
VOCABULARY_STREAM = 20405


class CodecStage(Stage):
    """Trains what lies between the frozen boxes; exports the complete codec."""

    code_use: Tensor

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes of the trained boxes; widths that follow from the frozen ones are filled in.

        Attributes:
            stack_factor: K, 1, 2 or 4.
            is_vocabulary_fixed: know the largest semantic codebook only, instead of drawing one
                of all per batch (Sec. IV-D).
            acoustic_hidden: hidden width of the acoustic encoder; 0 = twice the features'.
            is_acoustic_bidirectional: see `AcousticEncoder.Config`.
            is_acoustic_residual: see `AcousticEncoder.Config`.
            quantizer: its width is replaced.
            acoustic_start: first step that trains the acoustic encoder. Until then the T-UNet
                learns to use codes of the vectors that the encoder starts with (the codebook
                follows and revives as always); a network that does not yet use them leaves the
                encoder to the commitment loss, which is least where all vectors are alike.
            is_code_space_fixed: leave the ways into and out of the code space as they start. The
                codes then have a space that does not move under them.
            unstacks_condition: take the condition's positions apart into patches, see
                `Condition.Config`; T-UNets of all stack factors are then alike.
            unquantized_share: share of the items whose condition is what the quantizers would
                give if every vector had a code of its own, so that the T-UNet knows it too.
            position_width: of the condition's position codes.
            unet: its context width and grid are replaced.
            is_preconditioned: see `Preconditioning`.
            pads_windows: written into the model, see `CodecConfig`.
            sampling: written into the model as its defaults.
            timestep_shift: of the draw of timesteps in training, see `shift_time`; 1 = uniform.
            condition_dropout: share of the items trained without condition (Eq. 10).
            cached_windows: windows for which the frozen boxes' results are computed beforehand
                and kept in RUN/cache; 0 runs the frozen boxes on new windows in every step.
            cache_seed: of the places of these windows.
            joined_share: share of the windows in which short recordings follow one another.
            speeds: lowest and highest speed that windows are played at, see `WindowSource`.
        """

        stack_factor: int = 1
        is_vocabulary_fixed: bool = False
        acoustic_hidden: int = 0
        acoustic_layers: int = 4
        is_acoustic_bidirectional: bool = True
        is_acoustic_residual: bool = False
        quantizer: VectorQuantizer.Config = VectorQuantizer.Config()
        acoustic_start: int = 0
        is_code_space_fixed: bool = False
        unstacks_condition: bool = False
        unquantized_share: float = 0.0
        position_width: int = 192
        unet: TUNet.Config = TUNet.Config()
        schedule: Schedule.Config = Schedule.Config(kind="cosine")
        is_preconditioned: bool = False
        pads_windows: bool = True
        sampling: SamplingConfig = SamplingConfig()
        timestep_shift: float = 1.0
        condition_dropout: float = 0.1
        cached_windows: int = 0
        cache_seed: int = 0
        joined_share: float = 0.0
        speeds: tuple[float, float] = NORMAL_SPEED

    @classmethod
    def build(cls, config: Config, boxes: Mapping[str, Path]) -> CodecStage:
        """Make the stage on the exports of AudioMAE, codebook, VAE and vocoder.

        Raises:
            ConfigError: One of them is missing, or another was given.
            CheckpointError: One cannot be read or does not fit the others.
        """
        return cls(config, load_modules(boxes, config.stack_factor))

    def __init__(self, config: Config, boxes: FrozenModules) -> None:
        super().__init__()
        self.config = config
        if config.is_vocabulary_fixed:
            largest = max(boxes.codebooks)
            boxes = boxes._replace(codebooks={largest: boxes.codebooks[largest]})
        self.codec_config = complete_config(config, boxes)
        self.vocab_sizes = self.codec_config.encoder.semantic.vocab_sizes
        self.encoder = Encoder(self.codec_config.encoder)
        self.encoder.quantizer.requires_grad_(not config.is_code_space_fixed)
        self.decoder = Decoder(self.codec_config.decoder)
        self.vae_encoder = boxes.vae.encoder
        self.encoder.audiomae = boxes.audiomae
        self.decoder.vae = boxes.vae.decoder
        self.decoder.vocoder = boxes.vocoder
        for size, centroids in boxes.codebooks.items():
            self.encoder.semantic.codebook(size).copy_(centroids)
        self.fbank = Fbank(boxes.audiomae.config.num_mel_bins)
        self.mel = Mel()
        # Moving share of each acoustic code, over some hundred steps.
        size = config.quantizer.codebook_size
        self.register_buffer("code_use", torch.full((size,), 1.0 / size))
        self._origin = {"stack_factor": config.stack_factor, **boxes.digests}
        self.is_started = False  # from an export, which knows what `prepare` would measure

    def initialize(self, folder: Path) -> None:
        """Start the trained boxes, and the latent's scale, from an export with this token rate."""
        setting, files = read_setting(folder, self.codec_config.token_rate)
        weights = read_weights(files, setting)
        own = self.state_dict()
        names = [name for name in own if name.startswith(TRAINED + MEASURED)]
        unfit = [
            name for name in names if name not in weights or weights[name].shape != own[name].shape
        ]
        if unfit:
            raise CheckpointError(
                f"{folder} holds a codec of other sizes than the recipe's: {len(unfit)} tensors "
                f"are missing or differ, first {', '.join(unfit[:3])}. Use the recipe that it "
                "was trained with."
            )
        started = {name: weights[name] for name in names}
        self.load_state_dict(started, strict=False)
        self.is_started = True

    def prepare(self, source: Source, *, folder: Path, is_resumed: bool) -> Source:
        """Put the cache before the source, and measure the latent's scale."""
        config = self.config
        assert isinstance(source, WindowSource), type(source)
        self.eval()
        varied = source.varied(config.joined_share, config.speeds)
        windows: Source = varied
        if config.cached_windows:
            windows = self._cache(varied, folder / "cache")
        # A resumed run has its scale in the checkpoint.
        if not (is_resumed or self.is_started):
            self._measure_latents(windows)
            self.start_codes(self.examples(windows, self.num_code_windows))
        return windows

    def _cache(self, source: WindowSource, folder: Path) -> CachedSource:
        config = self.config
        return build_cache(
            folder,
            source,
            self._frozen,
            num_windows=config.cached_windows,
            seed=config.cache_seed,
            batch_size=CACHE_BATCH,
            device=self.decoder.latent_scale.device,
            origin=self._origin,
        )

    @torch.no_grad()
    def _frozen(
        self, wav: Float[Tensor, "B S"], num_samples: Int[Tensor, " B"]
    ) -> dict[str, Tensor]:
        """Return what the frozen boxes make of windows with their look-ahead, in float32."""
        with torch.autocast(wav.device.type, enabled=False):
            audiomae = window_features(self.encoder, self.fbank, wav, num_samples)
            mean, _ = self.vae_encoder(self.mel(wav[:, :WINDOW_SAMPLES]))
        return {**audiomae._asdict(), "latent": mean}

    @property
    def num_code_windows(self) -> int:
        """How many windows the acoustic quantizer starts from."""
        return CODE_WINDOWS * self.config.stack_factor

    def examples(self, windows: Source, count: int) -> Iterator[dict[str, Tensor]]:
        """Yield the frozen boxes' results of some windows, one at a time.

        Args:
            windows: the cache, or recordings.
            count: how many; fewer come where each costs the frozen boxes' time.
        """
        device = self.decoder.latent_scale.device
        for draw in range(count if self.config.cached_windows else UNCACHED_WINDOWS):
            item = windows.draw(np.random.default_rng([self.config.cache_seed, draw]))
            tensors = {name: torch.from_numpy(item[name])[None].to(device) for name in item}
            yield tensors if "latent" in tensors else self._frozen(**tensors)

    def _measure_latents(self, windows: Source) -> None:
        """Set the latent's scale, and its statistics, to those of some windows."""
        examples = self.examples(windows, SCALE_WINDOWS)
        latents = torch.cat([frozen["latent"] for frozen in examples]).float()
        scale = 1.0 / latents.std().clamp_min(1e-6)
        self.decoder.latent_scale.copy_(scale)
        if self.decoder.preconditioning is not None:
            self.decoder.preconditioning.measure(latents * scale)

    @torch.no_grad()
    def start_codes(self, examples: Iterable[Mapping[str, Tensor]]) -> None:
        """Start the acoustic quantizer on what the untrained acoustic encoder makes of examples."""
        config = self.config.quantizer
        if config.code_width is None and not config.initialize_from_data:
            return
        rows = self._vectors(examples)
        if config.code_width is not None:
            start_maps(self.encoder.quantizer, rows)
        if config.initialize_from_data:
            generator = torch.Generator().manual_seed(self.config.cache_seed)
            self.encoder.quantizer.start(rows, generator)

    def _vectors(self, examples: Iterable[Mapping[str, Tensor]]) -> Float[Tensor, "N D"]:
        """Return the acoustic encoder's output for windows, without padding."""
        vocab_size = self.vocab_sizes[-1]
        collected = []
        for frozen in examples:
            features = frozen["features"].float()
            codes = self.encoder.semantic.encode(features, vocab_size)
            valid = valid_mask(frozen["num_valid"], features.shape[1])
            vectors = self.encoder.acoustic(
                mask_padding(features, valid),
                mask_padding(self.encoder.semantic.decode(codes, vocab_size), valid),
            )
            collected.append(vectors[valid])
        return torch.cat(collected)

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the one group that is trained jointly (Sec. III-E)."""
        boxes = (self.encoder.acoustic, self.encoder.quantizer, self.decoder.unet)
        parameters = [parameter for box in boxes for parameter in box.parameters()]
        return {"codec": [parameter for parameter in parameters if parameter.requires_grad]}

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of Eq. 11."""
        frozen = self.inputs(batch)
        encoded = self._encode(frozen, batch)
        context = self._context(encoded, frozen, batch)
        dropped = rand_per_item(batch.generators, (1, 1), context.device)
        empty = self.decoder.condition.unconditional(*context.shape[:2])
        is_dropped = dropped < self.config.condition_dropout
        context = torch.where(is_dropped, empty.to(context), context)
        latent = frozen["latent"].float() * self.decoder.latent_scale
        timestep = self._timesteps(batch, latent.device)
        noise = randn_per_item(batch.generators, tuple(latent.shape[1:]), latent.device)
        errors = self._errors(latent, noise, timestep, context)
        reconstruction = errors.mean()
        is_near_noise = timestep >= NEAR_NOISE * self.decoder.schedule.num_timesteps
        is_probed = is_near_noise & ~is_dropped.flatten()
        scalars = {
            "reconstruction": reconstruction,
            "commitment": encoded.commitment_loss,
            "entropy": encoded.entropy_loss,
            "perplexity": encoded.perplexity,
            "num_used_codes": encoded.num_used_codes,
            "v_near_noise": _mean_where(errors, is_probed),
            "v_near_noise_shuffled": torch.full_like(reconstruction, torch.nan),
            **self._code_use(encoded),
        }
        if batch.step % PROBE_EVERY == 0:
            with torch.no_grad():
                shuffled = self._errors(latent, noise, timestep, context.roll(1, dims=0))
            scalars["v_near_noise_shuffled"] = _mean_where(shuffled, is_probed)
        loss = reconstruction + encoded.commitment_loss + encoded.entropy_loss
        return StepOutput(loss=loss, scalars=scalars)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return the frozen boxes' results, from the cache or computed now."""
        if "latent" in batch.extra:
            return dict(batch.extra)
        return self._frozen(batch.wav, batch.extra["num_samples"])

    def _vocab_size(self, step: int) -> int:
        """Return the vocabulary of a step: the same for all items in all processes (Sec. IV-D)."""
        rng = np.random.default_rng([VOCABULARY_STREAM, step])
        return self.vocab_sizes[int(rng.integers(len(self.vocab_sizes)))]

    def _encode(self, frozen: Mapping[str, Tensor], batch: Batch) -> EncoderOutput:
        # The recurrent network and the quantizer need the digits; they are the cheap part.
        is_trained = torch.is_grad_enabled() and batch.step >= self.config.acoustic_start
        device = batch.wav.device.type
        with torch.autocast(device, enabled=False), torch.set_grad_enabled(is_trained):
            return self.encoder(
                frozen["features"].float(),
                frozen["num_valid"],
                self._vocab_size(batch.step),
                batch.generators,
            )

    def _context(
        self, encoded: EncoderOutput, frozen: Mapping[str, Tensor], batch: Batch
    ) -> Float[Tensor, "B L E"]:
        """Return the condition, as decoding builds it from codes, or from vectors for some items.

        Codes come in whole columns: those of a last column that the audio does not fill are
        decoded like all others, only later positions carry the mark of padding.
        """
        length = encoded.valid.shape[1]
        has_code = valid_mask(frozen["num_positions"], length)
        is_tail = (has_code & ~encoded.valid).unsqueeze(-1)
        decoded = self.encoder.quantized(
            encoded.semantic_codes, encoded.acoustic_codes, self._vocab_size(batch.step)
        )
        trained = encoded.acoustic_features, encoded.semantic_features
        acoustic, semantic = (torch.where(is_tail, *pair) for pair in zip(decoded, trained))
        if self.config.unquantized_share:
            drawn = rand_per_item(batch.generators, (1, 1), acoustic.device)
            is_exact = (drawn < self.config.unquantized_share) & has_code.unsqueeze(-1)
            with torch.no_grad():  # the encoder shall learn what survives its quantizer
                exact = self.encoder.quantizer.bypass(encoded.vectors)
            acoustic = torch.where(is_exact, exact, acoustic)
            semantic = torch.where(is_exact, encoded.features, semantic)
        return self.decoder.condition(acoustic, semantic, length)

    def _timesteps(self, batch: Batch, device: torch.device) -> Int[Tensor, " B"]:
        num_timesteps = self.decoder.schedule.num_timesteps
        uniform = rand_per_item(batch.generators, (), device)
        shifted = shift_time(uniform, self.config.timestep_shift)
        return (shifted * num_timesteps).long().clamp(max=num_timesteps - 1)

    def _errors(
        self,
        latent: Float[Tensor, "B C T F"],
        noise: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
        context: Float[Tensor, "B L E"],
    ) -> Float[Tensor, " B"]:
        """Return the mean squared error of the velocity of every item (Eq. 9)."""
        schedule = self.decoder.schedule
        noisy = schedule.add_noise(latent, noise, timestep)
        velocity = self.decoder.velocity(noisy, timestep, context).float()
        target = schedule.velocity(latent, noise, timestep)
        return (velocity - target).square().flatten(1).mean(dim=1)

    @torch.no_grad()
    def _code_use(self, encoded: EncoderOutput) -> dict[str, Tensor]:
        """Follow how often each acoustic code is used; return what it says about the codebook."""
        size = len(self.code_use)
        counts = torch.bincount(encoded.acoustic_codes[encoded.valid], minlength=size).float()
        counts = distributed.all_reduce_sum(counts)
        self.code_use.lerp_(counts / counts.sum().clamp_min(1), 1 - USE_DECAY)
        return {
            "perplexity_moving": torch.special.entr(self.code_use).sum().exp(),
            # Used at least a tenth as often as the average code.
            "share_of_codes_used": (self.code_use > 0.1 / size).float().mean(),
        }

    @torch.no_grad()
    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return what the VAE and vocoder could give at best, and samples from the codes."""
        frozen = {name: value[:SAMPLE_ITEMS] for name, value in self.inputs(batch).items()}
        part = dataclasses.replace(
            batch,
            wav=batch.wav[:SAMPLE_ITEMS],
            generators=batch.generators[:SAMPLE_ITEMS],
            extra=frozen,
        )
        context = self._context(self._encode(frozen, part), frozen, part)
        latent = frozen["latent"].float() * self.decoder.latent_scale
        noise = randn_per_item(part.generators, tuple(latent.shape[1:]), latent.device)
        num_steps = min(MAX_SAMPLE_STEPS, self.config.sampling.num_steps)
        shown: dict[str, Sample] = {}
        for item in range(len(latent)):
            sampled = self.decoder.sample_latent(
                context[item : item + 1],
                lambda draw, item=item: noise[item : item + 1],
                timesteps=self.decoder.timesteps(num_steps),
                guidance_scale=1.0,
                eta=0.0,
            )
            for name, value in (("original", latent[item : item + 1]), ("sample", sampled)):
                mel = self.decoder.mel(value)
                wav = self.decoder.waveform(mel)
                shown[f"{name}_{item}"] = Sample(spectrogram=mel[0], wav=wav[0])
        return shown

    def export(self, folder: Path) -> None:
        """Write the complete codec, which `SemantiCodec.from_pretrained` loads."""
        write_model(folder, self.codec_config, self.codec_state())

    def codec_state(self) -> dict[str, Tensor]:
        """Return the weights of encoder and decoder by the names that a codec has for them."""
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        return {
            f"{part}.{name}": tensor
            for part, module in parts.items()
            for name, tensor in module.state_dict().items()
        }


@torch.no_grad()
def start_maps(quantizer: VectorQuantizer, rows: Float[Tensor, "N D"]) -> None:
    """Start the ways into and out of the code space on vectors that are to be quantized.

    They point almost into one direction, and codes of unit length that start there are left behind
    as soon as the encoder learns to use the space around: such a space starts whitened. Codes of
    any length start on the principal axes, and lose nothing but the weakest.
    """
    project_in, project_out = quantizer.project_in, quantizer.project_out
    assert isinstance(project_in, nn.Linear) and isinstance(project_out, nn.Linear)
    exact = rows.double().cpu()
    mean = exact.mean(dim=0)
    variances, directions = torch.linalg.eigh((exact - mean).T.cov())
    axes = directions[:, -project_in.out_features :].T
    if quantizer.config.l2_normalize:
        scales = variances[-project_in.out_features :].clamp_min(1e-12).rsqrt()
        axes = scales.unsqueeze(1) * axes
    else:
        project_out.weight.copy_(axes.T)
        project_out.bias.copy_(mean)
    project_in.weight.copy_(axes)
    project_in.bias.copy_(-(axes @ mean))


def _mean_where(values: Float[Tensor, " B"], chosen: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Return the mean of the chosen items, NaN where there is none (the monitor leaves it out)."""
    return values.detach()[chosen].mean()
