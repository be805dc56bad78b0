"""Joint training of acoustic encoder, acoustic quantizer and T-UNet, all other modules frozen.

window -> AudioMAE features ----> semantic codebook, acoustic encoder + quantizer -> context
       -> VAE latent, plus noise --------------------------------------> T-UNet -> velocity
loss = mean squared error of the velocity + commitment (+ entropy of the codes)      (Eq. 11)

One codec is trained, or several token rates around one T-UNet: then every step trains one rate.
What the rates have in common belongs to the stage, is trained by all of them, and stored once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.pretrained import read_setting, read_weights
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.schedule import shift_time
from semanticodec.encoder.encoder import Encoder
from semanticodec.errors import CheckpointError
from semanticodec.token_format import WINDOW_SAMPLES
from semanticodec.training.cache import CachedSource, build_cache, useful_windows
from semanticodec.training.data import Batch, Source, rand_per_item, randn_per_item
from semanticodec.training.features import FeatureExtractor, WindowFeatures
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import Stage, StepOutput
from semanticodec.training.stages.codec_config import CodecStageConfig, complete_config
from semanticodec.training.stages.codec_rate import CodecRate
from semanticodec.training.stages.codec_rates import (
    codec_state,
    keep_told,
    rate_of_step,
    rate_suffix,
    start_codes,
    write_codec,
)
from semanticodec.training.stages.modules import FrozenModules, load_modules
from semanticodec.training.windows import WindowSource

TRAINED = ("encoder.acoustic.", "encoder.quantizer.", "decoder.unet.")
MEASURED = ("decoder.latent_scale", "decoder.preconditioning.")
# From here on (of 1000) the input is nearly pure noise, and only the codes can tell the latent.
NEAR_NOISE = 0.9
PROBE_EVERY = 10
SCALE_WINDOWS = 256
UNCACHED_WINDOWS = 16
# For each patch that a position joins: stacked features are fewer, and no easier to cluster.
CODE_WINDOWS = 512
CACHE_BATCH = 8
SAMPLE_ITEMS = 2
MAX_SAMPLE_STEPS = 10


class CodecStage(Stage):
    """Trains what lies between the frozen modules; exports the complete codec."""

    Config = CodecStageConfig
    rates: Sequence[CodecRate]

    @classmethod
    def build(cls, config: CodecStageConfig, modules: Mapping[str, Path]) -> CodecStage:
        """Make the stage on the exports of AudioMAE, VAE, vocoder and codebooks.

        Args:
            config: settings of the training.
            modules: export folders by name, see `load_modules`.
        Raises:
            ConfigError: one of them is missing, or another was given.
            CheckpointError: one cannot be read or does not fit the others.
        """
        return cls(config, load_modules(modules, config.stack_factors))

    def __init__(self, config: CodecStageConfig, modules: FrozenModules) -> None:
        super().__init__()
        self.config = config
        rates, decoders = [], []
        for factor in config.stack_factors:
            codec_config = complete_config(config, modules, factor)
            # Whole codecs, so that each starts with the weights that it is drawn with.
            encoder, decoder = Encoder(codec_config.encoder), Decoder(codec_config.decoder)
            for size in codec_config.encoder.semantic.vocab_sizes:
                encoder.semantic.codebook(size).copy_(modules.codebooks[factor][size])
            rates.append(CodecRate(config.rates, codec_config, encoder, decoder.condition))
            decoders.append(decoder)
        self.rates = cast("Sequence[CodecRate]", nn.ModuleList(rates))
        self.decoder = decoders[0]
        keep_told(rates)
        self.decoder.vae = modules.vae.decoder
        self.decoder.vocoder = modules.vocoder
        self.vae_encoder = modules.vae.encoder
        self.features = FeatureExtractor(modules.audiomae)
        self.mel = Mel()
        self._origin = modules.digests
        self.is_started = False  # from an export, which knows what `prepare` would measure

    @torch.no_grad()
    def initialize(self, folder: Path) -> None:
        """Start the trained modules, and the latent's scale, from an export with these rates."""
        for rate in self.rates:
            setting, files = read_setting(folder, rate.config.token_rate)
            weights = read_weights(files, setting)
            own = {
                name: tensor
                for name, tensor in self.codec_state(rate).items()
                if name.startswith(TRAINED + MEASURED)
            }
            unfit = [
                name
                for name, tensor in own.items()
                if name not in weights or weights[name].shape != tensor.shape
            ]
            if unfit:
                raise CheckpointError(
                    f"{folder} holds a codec of other sizes than the recipe's: {len(unfit)} "
                    f"tensors are missing or differ, first {', '.join(unfit[:3])}. Use the recipe "
                    "that it was trained with."
                )
            for name, tensor in own.items():
                tensor.copy_(weights[name])
        self.is_started = True

    def prepare(
        self, source: Source, *, folder: Path, is_resumed: bool, show_progress: bool = True
    ) -> Source:
        """Put the cache before the source, measure the latent's scale, and start the codes."""
        config = self.config
        assert isinstance(source, WindowSource), type(source)
        self.eval()
        varied = source.varied(config.joined_share, config.speeds)
        windows: Source = varied
        if config.cached_windows:
            windows = self._cache(varied, folder / "cache", show_progress)
        # A resumed run has all this in the checkpoint.
        if not (is_resumed or self.is_started):
            self._measure_latents(windows)
            start_codes(
                self.rates,
                lambda count: self._examples(windows, count),
                num_map_windows=CODE_WINDOWS,
                num_code_windows=CODE_WINDOWS,
                seed=config.cache_seed,
                show_progress=show_progress,
            )
        return windows

    def _cache(self, source: WindowSource, folder: Path, show_progress: bool) -> CachedSource:
        return build_cache(
            folder,
            source,
            self._frozen,
            num_windows=useful_windows(source, self.config.cached_windows),
            seed=self.config.cache_seed,
            batch_size=CACHE_BATCH,
            device=self.decoder.latent_scale.device,
            origin={**self._origin, "contents": [*WindowFeatures._fields, "latent"]},
            show_progress=show_progress,
        )

    @torch.no_grad()
    def _frozen(
        self, wav: Float[Tensor, "B S"], num_samples: Int[Tensor, " B"]
    ) -> dict[str, Tensor]:
        """Return what the frozen modules make of windows with their look-ahead, in float32.

        Features are those of single patches (K = 1), whatever the token rates.
        """
        with torch.autocast(wav.device.type, enabled=False):
            mean, _ = self.vae_encoder(self.mel(wav[:, :WINDOW_SAMPLES]))
        return {**self.features(wav, num_samples)._asdict(), "latent": mean}

    def _examples(self, windows: Source, count: int) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield the frozen modules' results of random windows with the windows' numbers.

        Args:
            windows: the cache, or recordings.
            count: number of examples; fewer come where each costs the frozen modules' time.
        """
        device = self.decoder.latent_scale.device
        is_cached = isinstance(windows, CachedSource)
        if not is_cached:
            count = UNCACHED_WINDOWS
        elif len(windows) < self.config.cached_windows:
            # Little data: more draws would only repeat its windows.
            count = min(count, len(windows))
        for draw in range(count):
            rng = np.random.default_rng([self.config.cache_seed, draw])
            number = windows.choose(rng) if is_cached else draw
            item = windows.window(number) if is_cached else windows.draw(rng)
            tensors = {name: torch.from_numpy(item[name])[None].to(device) for name in item}
            yield number, tensors if is_cached else self._frozen(**tensors)

    def _measure_latents(self, windows: Source) -> None:
        """Set the latent's scale, and its statistics, to those of some windows."""
        examples = self._examples(windows, SCALE_WINDOWS)
        latents = torch.cat([inputs["latent"] for _, inputs in examples]).float()
        scale = 1.0 / latents.std().clamp_min(1e-6)
        self.decoder.latent_scale.copy_(scale)
        if self.decoder.preconditioning is not None:
            self.decoder.preconditioning.measure(latents * scale)

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the one group that is trained jointly (Sec. III-E)."""
        first, *others = (rate.trained_parameters() for rate in self.rates)
        parameters = [*first, *self.decoder.unet.parameters(), *(p for own in others for p in own)]
        return {"codec": [parameter for parameter in parameters if parameter.requires_grad]}

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of Eq. 11 for the step's rate; of several, values name theirs."""
        rate = rate_of_step(self.rates, batch.step)
        inputs = rate.stacked(self.inputs(batch))
        encoded = rate.encode(inputs, batch)
        context = rate.context(encoded, inputs["num_positions"], batch)
        dropped = rand_per_item(batch.generators, (1, 1), context.device)
        empty = rate.condition.unconditional(*context.shape[:2])
        is_dropped = dropped < self.config.condition_dropout
        context = torch.where(is_dropped, empty.to(context), context)
        latent = inputs["latent"].float() * self.decoder.latent_scale
        timestep = self._timesteps(batch, latent.device)
        noise = randn_per_item(batch.generators, tuple(latent.shape[1:]), latent.device)
        errors = self._errors(latent, noise, timestep, context)
        reconstruction = errors.mean()
        is_near_noise = timestep >= NEAR_NOISE * self.decoder.schedule.num_timesteps
        is_probed = is_near_noise & ~is_dropped.flatten()
        scalars = {
            "reconstruction": reconstruction,
            **encoded.losses,
            "v_near_noise": _mean_where(errors, is_probed),
            "v_near_noise_shuffled": torch.full_like(reconstruction, torch.nan),
            **rate.follow_use(encoded),
        }
        if batch.step % PROBE_EVERY == 0:
            with torch.no_grad():
                shuffled = self._errors(latent, noise, timestep, context.roll(1, dims=0))
            scalars["v_near_noise_shuffled"] = _mean_where(shuffled, is_probed)
        suffix = rate_suffix(self.rates, rate)
        return StepOutput(
            loss=sum(encoded.losses.values(), start=reconstruction),
            scalars={f"{name}{suffix}": value for name, value in scalars.items()},
        )

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return the frozen modules' results for K = 1, from the cache or computed now."""
        if "latent" in batch.extra:
            return dict(batch.extra)
        return self._frozen(batch.wav, batch.extra["num_samples"])

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
    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return what VAE and vocoder give at best, and samples from the codes of every rate."""
        inputs = {name: value[:SAMPLE_ITEMS] for name, value in self.inputs(batch).items()}
        return {
            f"{name}{rate_suffix(self.rates, rate)}": sample
            for rate in self.rates
            for name, sample in self._samples_of(rate, rate.stacked(inputs), batch).items()
        }

    def _samples_of(
        self, rate: CodecRate, inputs: Mapping[str, Tensor], batch: Batch
    ) -> dict[str, Sample]:
        part = dataclasses.replace(
            batch, wav=batch.wav[:SAMPLE_ITEMS], generators=batch.generators[:SAMPLE_ITEMS]
        )
        context = rate.context(rate.encode(inputs, part), inputs["num_positions"], part)
        latent = inputs["latent"].float() * self.decoder.latent_scale
        noise = randn_per_item(part.generators, tuple(latent.shape[1:]), latent.device)
        settings = dataclasses.replace(
            self.decoder.config.sampling,
            sampler="ddim",
            num_steps=min(MAX_SAMPLE_STEPS, self.config.sampling.num_steps),
            guidance_scale=1.0,
            eta=0.0,
        )
        shown: dict[str, Sample] = {}
        for item in range(len(latent)):
            sampled = self.decoder.sample(
                context[item : item + 1], lambda draw, item=item: noise[item : item + 1], settings
            )
            for name, value in (("original", latent[item : item + 1]), ("sample", sampled)):
                mel = self.decoder.mel(value)
                wav = self.decoder.waveform(mel)
                shown[f"{name}_{item}"] = Sample(spectrogram=mel[0], wav=wav[0])
        return shown

    def export(self, folder: Path) -> None:
        """Write one model of all rates, which `SemantiCodec.from_pretrained` loads."""
        write_codec(folder, self.rates, self.features.audiomae, self.decoder)

    def codec_state(self, rate: CodecRate) -> dict[str, Tensor]:
        """Return the weights of a rate's codec by the names that a codec has for them."""
        return codec_state(rate, self.features.audiomae, self.decoder)


def _mean_where(values: Float[Tensor, " B"], chosen: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Return the mean of the chosen items, NaN where there is none (the monitor leaves it out)."""
    return values.detach()[chosen].mean()
