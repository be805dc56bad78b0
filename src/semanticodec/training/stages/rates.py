"""Joint training of the codec at several token rates around one T-UNet.

window -> AudioMAE features of single patches -> stacked for the rate of the step
    -> semantic codebook, acoustic encoder + codebook of that rate -> condition, patch by patch
    -> the T-UNet of all rates

Every step trains one rate (see `CodecStage` for the rest). What the rates have in common is
trained by all of them, and stored once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.checkpoints.pretrained import write_models
from semanticodec.checkpoints.trained_module import CODEBOOK, load_codebooks
from semanticodec.errors import ConfigError
from semanticodec.training.cache import WindowFeatures, stacked_features
from semanticodec.training.data import Batch, Source
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import Stage, StepOutput
from semanticodec.training.stages.codec import CodecStage
from semanticodec.training.stages.modules import FrozenModules, load_modules

# Separates the draw of the rate from all other numbers of a step.
RATE_STREAM = 20406
# Weight files by the boxes in them.
SHARED_FILES = {"audiomae": ("encoder.audiomae.",), "decoder": ("decoder.",)}
OWN_FILES = {
    "semantic": ("encoder.semantic.",),
    "acoustic": ("encoder.acoustic.", "encoder.quantizer."),
}
SHARED_BOXES = ("unet", "preconditioning", "vae", "vocoder")


class RatesStage(Stage):
    """Trains one codec per rate with a T-UNet in common; exports them as one model."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """What is trained.

        Attributes:
            codec: of every rate; its stack factor is replaced.
            stack_factors: K of every rate; the first is 1, and the exported model's default.
        """

        codec: CodecStage.Config = CodecStage.Config(unstacks_condition=True)
        stack_factors: tuple[int, ...] = (1, 2, 4)

    @classmethod
    def build(cls, config: Config, boxes: Mapping[str, Path]) -> RatesStage:
        """Make the stage on the exports of AudioMAE, VAE, vocoder and a codebook per rate.

        Args:
            config: what is trained.
            boxes: folders by name; `codebook_100`, `codebook_50` and so on for the codebooks.
        Raises:
            ConfigError: One of them is missing, or another was given.
            CheckpointError: One cannot be read or does not fit the others.
        """
        names = {factor: f"{CODEBOOK}_{100 // factor}" for factor in config.stack_factors}
        missing = [name for name in names.values() if name not in boxes]
        if CODEBOOK in boxes:
            raise ConfigError(
                f"Several token rates need several codebooks; in place of --module {CODEBOOK} "
                f"give {', '.join(names.values())}."
            )
        if missing:
            raise ConfigError(
                f"Every token rate needs a codebook of its own; missing: {', '.join(missing)}. "
                "Add --module NAME=RUN/export for each."
            )
        common = {name: path for name, path in boxes.items() if name not in names.values()}
        first, *others = names.items()
        loaded = [load_modules({**common, CODEBOOK: boxes[first[1]]}, first[0])]
        for factor, name in others:
            width = factor * loaded[0].audiomae.config.width
            codebooks = load_codebooks(boxes[name], width=width, stack_factor=factor)
            loaded.append(loaded[0]._replace(codebooks=codebooks))
        return cls(config, loaded)

    def __init__(self, config: Config, boxes: list[FrozenModules]) -> None:
        super().__init__()
        if config.stack_factors[:1] != (1,) or not config.codec.unstacks_condition:
            raise ConfigError(
                "One T-UNet for several rates sees the patches of K = 1: start stack_factors "
                "with 1 and set codec.unstacks_condition=True."
            )
        self.config = config
        self.codecs = nn.ModuleList(
            CodecStage(dataclasses.replace(config.codec, stack_factor=factor), frozen)
            for factor, frozen in zip(config.stack_factors, boxes, strict=True)
        )
        for other in self._members()[1:]:
            _borrow(other.encoder, "audiomae", self.first.encoder.audiomae)
            _borrow(other, "vae_encoder", self.first.vae_encoder)
            for name in SHARED_BOXES:
                _borrow(other.decoder, name, getattr(self.first.decoder, name))

    def _members(self) -> list[CodecStage]:
        return [codec for codec in self.codecs if isinstance(codec, CodecStage)]

    @property
    def first(self) -> CodecStage:
        """The codec of K = 1, which owns what all share."""
        return self._members()[0]

    def initialize(self, folder: Path) -> None:
        """Start the trained boxes, and the latent's scale, from an exported model."""
        for member in self._members():
            member.initialize(folder)

    def prepare(self, source: Source, *, folder: Path, is_resumed: bool) -> Source:
        """Put the cache of patches before the source, and start what starts from data."""
        windows = self.first.prepare(source, folder=folder, is_resumed=is_resumed)
        if is_resumed or self.first.is_started:
            return windows
        for member in self._members()[1:]:
            member.eval()
            member.decoder.latent_scale.copy_(self.first.decoder.latent_scale)
            member.start_codes(
                _stacked(example, member.config.stack_factor)
                for example in self.first.examples(windows, member.num_code_windows)
            )
        return windows

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the one group that is trained jointly, shared parameters once."""
        parameters = [
            parameter
            for member in self._members()
            for parameter in member.optimizer_groups()["codec"]
        ]
        return {"codec": list(dict.fromkeys(parameters))}

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of the step's rate; what is recorded has the rate in its name."""
        member = self._members()[self._choice(batch.step)]
        output = member.training_step(
            self._batch_of(member, batch, self.first.inputs(batch)), group
        )
        rate = member.codec_config.token_rate
        scalars = {f"{name}_{rate}": value for name, value in output.scalars.items()}
        return StepOutput(loss=output.loss, scalars=scalars)

    def _choice(self, step: int) -> int:
        """Return which rate a step trains: the same in all processes."""
        rng = np.random.default_rng([RATE_STREAM, step])
        return int(rng.integers(len(self.codecs)))

    def _batch_of(self, member: CodecStage, batch: Batch, inputs: Mapping[str, Tensor]) -> Batch:
        """Return the batch with the frozen boxes' results for K = 1 as a rate needs them."""
        return dataclasses.replace(batch, extra=_stacked(inputs, member.config.stack_factor))

    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return samples from the codes of every rate."""
        inputs = self.first.inputs(batch)
        return {
            f"{name}_{member.codec_config.token_rate}": picture
            for member in self._members()
            for name, picture in member.samples(self._batch_of(member, batch, inputs)).items()
        }

    def export(self, folder: Path) -> None:
        """Write one model of all rates, which `SemantiCodec.from_pretrained` loads."""
        common = _files(self.first.codec_state(), SHARED_FILES)
        settings = []
        for member in self._members():
            rate = member.codec_config.token_rate
            own = _files(member.codec_state(), OWN_FILES)
            files = {**common, **{f"{name}_{rate}": part for name, part in own.items()}}
            settings.append((member.codec_config, files))
        write_models(folder, settings)


def _borrow(borrower: nn.Module, name: str, box: nn.Module | None) -> None:
    """Let a module work with a box that another owns: it is then neither saved nor moved twice."""
    delattr(borrower, name)
    object.__setattr__(borrower, name, box)


def _files(
    state: Mapping[str, Tensor], prefixes: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, Tensor]]:
    """Return the weights of every file."""
    return {
        name: {key: tensor for key, tensor in state.items() if key.startswith(wanted)}
        for name, wanted in prefixes.items()
    }


def _stacked(inputs: Mapping[str, Tensor], stack_factor: int) -> dict[str, Tensor]:
    """Return the frozen boxes' results for K = 1 as they are for another stack factor."""
    patches = WindowFeatures(*(inputs[name] for name in WindowFeatures._fields))
    return {**inputs, **stacked_features(patches, stack_factor)._asdict()}
