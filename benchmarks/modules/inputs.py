"""What the modules are given when they are measured one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES
from semanticodec.benchmark.modules import MODULES
from semanticodec.codec import SemantiCodec
from semanticodec.decoder.decoder import LATENT_FRAMES
from semanticodec.token_format import WINDOW_SAMPLES

ANY_TIMESTEP = 500
MEL_FRAMES_PER_LATENT_FRAME = 4
CODEBOOKS = ("encoder.semantic", "encoder.quantizer")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Makes what the modules are given.

    Attributes:
        codec: codec whose modules they are.
        random: random(*shape) -> Tensor.
        num_items: windows at once.
        num_positions: length of the windows.
    """

    codec: SemantiCodec
    random: Callable[..., Tensor]
    num_items: int
    num_positions: int

    def scaled(self, whole_length: int) -> int:
        """Return the length of what is `whole_length` long in a whole window."""
        return whole_length * self.num_positions // positions(self.codec)

    def wav(self) -> tuple[Any, ...]:
        """Return samples with those of the next window that the last frames reach into."""
        return (self.random(self.num_items, self.scaled(WINDOW_SAMPLES) + LOOKAHEAD_SAMPLES),)

    def fbank(self) -> tuple[Any, ...]:
        """Return a normalized filter bank."""
        config = self.codec.config.encoder.audiomae
        return (self.random(self.num_items, self.scaled(config.num_frames), config.num_mel_bins),)

    def features(self) -> tuple[Any, ...]:
        """Return what stands for stacked AudioMAE features."""
        return (self.random(self.num_items, self.num_positions, self.codec.config.encoder.width),)

    def features_and_vocabulary(self) -> tuple[Any, ...]:
        """Return features and the semantic vocabulary to search."""
        return *self.features(), self.codec.semantic_vocab_size

    def features_and_centroids(self) -> tuple[Any, ...]:
        """Return the inputs of the acoustic encoder, the mel too where it sees one."""
        seen = [self.mel()[0].float()] if self.codec.encoder.sees_mel else []
        return *self.features(), *self.features(), *seen

    def context(self) -> tuple[Any, ...]:
        """Return the T-UNet's condition."""
        config = self.codec.config.decoder
        num_rows = self.num_positions * config.condition.unstacks
        return (self.random(self.num_items, num_rows, config.unet.context_width),)

    def step(self) -> tuple[Any, ...]:
        """Return latent, timestep and prepared context."""
        (latent,) = self.latent()
        timestep = torch.full((self.num_items,), ANY_TIMESTEP, device=latent.device)
        return latent, timestep, self.codec.decoder.unet.prepare_context(*self.context())

    def latent(self) -> tuple[Any, ...]:
        """Return a latent."""
        channels, num_frames, num_bins = self.codec.config.decoder.latent_shape
        shape = channels, self.scaled(num_frames), num_bins
        dtype = next(self.codec.decoder.vae.parameters()).dtype
        return (self.random(self.num_items, *shape).to(dtype),)

    def mel(self) -> tuple[Any, ...]:
        """Return a log mel."""
        num_frames = self.scaled(MEL_FRAMES_PER_LATENT_FRAME * LATENT_FRAMES)
        num_bins = self.codec.config.decoder.vocoder.num_mel_bins
        dtype = next(self.codec.decoder.vocoder.parameters()).dtype
        return (self.random(self.num_items, num_frames, num_bins).to(dtype),)


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a module is called.

    Attributes:
        arguments: what its method is given.
        time_axis: axis of the first argument that is time.
    """

    arguments: Callable[[Inputs], tuple[Any, ...]]
    time_axis: int = 1


# By the names of `semanticodec.benchmark.modules.MODULES`, in order of execution.
CALLS = MappingProxyType(
    {
        "fbank": Call(arguments=Inputs.wav),
        "audiomae": Call(arguments=Inputs.fbank),
        "semantic": Call(arguments=Inputs.features_and_vocabulary),
        "lstm": Call(arguments=Inputs.features_and_centroids),
        "acoustic": Call(arguments=Inputs.features),
        "context": Call(arguments=Inputs.context),
        "unet": Call(arguments=Inputs.step, time_axis=2),
        "vae": Call(arguments=Inputs.latent, time_axis=2),
        "vocoder": Call(arguments=Inputs.mel),
    }
)
# What is made of several modules.
WHOLES = MappingProxyType(
    {
        "sampler": ("context", "unet"),
        "encode": ("fbank", "audiomae", "semantic", "lstm", "acoustic"),
        "decode": ("context", "unet", "vae", "vocoder"),
    }
)


def positions(codec: SemantiCodec) -> int:
    """Return the positions of a whole window."""
    return codec.format.positions_per_window


def parts_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules that need weights to measure these modules."""
    parts: list[str] = []
    for name in names:
        parts += [MODULES[module].owner for module in WHOLES.get(name, (name,))]
        parts += CODEBOOKS if name == "decode" else ()
    return tuple(part for part in dict.fromkeys(parts) if part != "fbank")


def work_of(name: str, inputs: Inputs) -> Callable[[], Any]:
    """Return the work of a single module, ready to be called any number of times."""
    module = MODULES[name]
    method = getattr(inputs.codec.get_submodule(module.owner), module.method)
    arguments = CALLS[name].arguments(inputs)
    return lambda: method(*arguments)


def length_of(name: str, shape: Sequence[int], codec: SemantiCodec) -> int:
    """Return the positions of a window that a module was given, from its first argument's shape."""
    whole = {
        "fbank": WINDOW_SAMPLES,
        "audiomae": codec.config.encoder.audiomae.num_frames,
        "unet": LATENT_FRAMES,
        "vae": LATENT_FRAMES,
        "vocoder": MEL_FRAMES_PER_LATENT_FRAME * LATENT_FRAMES,
    }
    return positions(codec) * shape[CALLS[name].time_axis] // whole.get(name, positions(codec))
