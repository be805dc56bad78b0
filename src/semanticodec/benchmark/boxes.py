"""The boxes one by one: which method of the codec does the work, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES, WINDOW_SAMPLES
from semanticodec.codec import SemantiCodec
from semanticodec.decoder.decoder import LATENT_BINS, LATENT_FRAMES
from semanticodec.layers.stacking import positions_per_window

ANY_TIMESTEP = 500
MEL_FRAMES_PER_LATENT_FRAME = 4
CODEBOOKS = ("encoder.semantic", "encoder.quantizer")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Makes what the boxes are given.

    Attributes:
        codec: whose boxes they are.
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
        """Return a normalised filter bank."""
        config = self.codec.config.encoder.audiomae
        return (self.random(self.num_items, self.scaled(config.num_frames), config.num_mel_bins),)

    def features(self) -> tuple[Any, ...]:
        """Return what stands for stacked AudioMAE features."""
        return (self.random(self.num_items, self.num_positions, self.codec.config.encoder.width),)

    def features_and_vocabulary(self) -> tuple[Any, ...]:
        """Return features and the semantic vocabulary to search."""
        return *self.features(), self.codec.semantic_vocab_size

    def features_and_centroids(self) -> tuple[Any, ...]:
        """Return both inputs of the acoustic encoder."""
        return *self.features(), *self.features()

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
        shape = self.codec.config.decoder.unet.in_channels, self.scaled(LATENT_FRAMES), LATENT_BINS
        dtype = next(self.codec.decoder.vae.parameters()).dtype
        return (self.random(self.num_items, *shape).to(dtype),)

    def mel(self) -> tuple[Any, ...]:
        """Return a log mel."""
        num_frames = self.scaled(MEL_FRAMES_PER_LATENT_FRAME * LATENT_FRAMES)
        num_bins = self.codec.config.decoder.vocoder.num_mel_bins
        dtype = next(self.codec.decoder.vocoder.parameters()).dtype
        return (self.random(self.num_items, num_frames, num_bins).to(dtype),)


@dataclass(frozen=True, kw_only=True)
class Box:
    """One box of the codec.

    Attributes:
        owner: module with the method; it needs weights.
        method: what does the work; its first argument has one row per window.
        arguments: what the method is given.
        time_axis: of the first argument.
    """

    owner: str
    method: str
    arguments: Callable[[Inputs], tuple[Any, ...]]
    time_axis: int = 1

    @property
    def is_encoder(self) -> bool:
        """Whether it computes in float32 whatever the decoder's precision."""
        return not self.owner.startswith("decoder.")


# In order of execution, under the names of `settings.BOXES`.
SINGLE_BOXES = MappingProxyType(
    {
        "fbank": Box(owner="fbank", method="forward", arguments=Inputs.wav),
        "audiomae": Box(owner="encoder.audiomae", method="forward", arguments=Inputs.fbank),
        "semantic": Box(
            owner="encoder.semantic", method="encode", arguments=Inputs.features_and_vocabulary
        ),
        "lstm": Box(
            owner="encoder.acoustic", method="forward", arguments=Inputs.features_and_centroids
        ),
        "acoustic": Box(owner="encoder.quantizer", method="encode", arguments=Inputs.features),
        "context": Box(owner="decoder.unet", method="prepare_context", arguments=Inputs.context),
        "unet": Box(owner="decoder.unet", method="forward", arguments=Inputs.step, time_axis=2),
        "vae": Box(owner="decoder.vae", method="forward", arguments=Inputs.latent, time_axis=2),
        "vocoder": Box(owner="decoder.vocoder", method="forward", arguments=Inputs.mel),
    }
)
# What is made of several boxes.
WHOLES = MappingProxyType(
    {
        "sampler": ("context", "unet"),
        "encode": ("fbank", "audiomae", "semantic", "lstm", "acoustic"),
        "decode": ("context", "unet", "vae", "vocoder"),
    }
)


def positions(codec: SemantiCodec) -> int:
    """Return the positions of a whole window."""
    return positions_per_window(codec.config.encoder.stack_factor)


def parts_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules that need weights to measure these boxes."""
    parts: list[str] = []
    for name in names:
        parts += [SINGLE_BOXES[box].owner for box in WHOLES.get(name, (name,))]
        parts += CODEBOOKS if name == "decode" else ()
    return tuple(part for part in dict.fromkeys(parts) if part != "fbank")


def work_of(name: str, inputs: Inputs) -> Callable[[], Any]:
    """Return the work of a single box, ready to be called any number of times."""
    box = SINGLE_BOXES[name]
    method = getattr(inputs.codec.get_submodule(box.owner), box.method)
    arguments = box.arguments(inputs)
    return lambda: method(*arguments)


def length_of(name: str, shape: Sequence[int], codec: SemantiCodec) -> int:
    """Return the positions of a window that a box was given, from its first argument's shape."""
    box = SINGLE_BOXES[name]
    whole = {
        "fbank": WINDOW_SAMPLES,
        "audiomae": codec.config.encoder.audiomae.num_frames,
        "unet": LATENT_FRAMES,
        "vae": LATENT_FRAMES,
        "vocoder": MEL_FRAMES_PER_LATENT_FRAME * LATENT_FRAMES,
    }
    return positions(codec) * shape[box.time_axis] // whole.get(name, positions(codec))


def watched_methods(codec: SemantiCodec, whole: str) -> dict[str, tuple[Any, str]]:
    """Return what a `BoxClock` watches during a whole, box by box."""
    boxes = {name: SINGLE_BOXES[name] for name in WHOLES[whole]}
    watched = {name: (codec.get_submodule(box.owner), box.method) for name, box in boxes.items()}
    if whole == "decode":
        watched = {"sampler": (codec.decoder, "sample"), **watched}
    return watched
