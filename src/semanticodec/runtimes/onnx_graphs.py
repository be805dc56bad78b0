"""The modules after the quantizers in the form that an ONNX graph can take: tensors in, one out.

    DiffusionStep   latent, timestep, keys and values, aligned maps -> velocity
    VAEDecoder      latent -> log mel (as it is)
    PitchGraph      log mel -> pitch and voicing, for vocoders with a harmonic source
    WaveformGraph   log mel, with a harmonic source its pitch, too -> samples

What a context costs is left outside the step: its keys and values are computed once per decode.
A pitch is summed up to phases, so that rounding in it grows with time: two runtimes agree on the
waveform only of the same pitch, which has a graph of its own.

Shapes: B batch · C channels · T frames · F latent frequency · M mel bins · S samples ·
N FFT size · L positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.decoder.decoder import SAMPLES_PER_MEL_FRAME, Decoder
from semanticodec.decoder.harmonic_vocos import HarmonicVocos, unit_phases
from semanticodec.decoder.pitch import pulses
from semanticodec.decoder.unet import PreparedContext, TUNet
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.decoder.vocos import InverseSTFT, Vocos

MEL_FRAMES_PER_LATENT_FRAME = 4


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A module with what an exporter must know of it.

    Attributes:
        module: module that takes the inputs in their order.
        inputs: names of the inputs, and examples.
        output: name of the result.
        dynamic_axes: axes of inputs and output that may have another size, by name.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    output: str
    dynamic_axes: dict[str, dict[int, str]]


class DiffusionStep(nn.Module):
    """The T-UNet with the prepared context as separate tensors."""

    def __init__(self, unet: TUNet, num_keys_values: int) -> None:
        super().__init__()
        self.unet = unet
        self.num_keys_values = num_keys_values

    def forward(
        self,
        latent: Float[Tensor, "B C T F"],
        timestep: Int[Tensor, " B"],
        *context: Tensor,
    ) -> Float[Tensor, "B C T F"]:
        """Return the velocity; `context` as `context_tensors` gives it."""
        pairs, aligned = context[: 2 * self.num_keys_values], context[2 * self.num_keys_values :]
        keys_values = tuple(zip(pairs[::2], pairs[1::2], strict=True))
        return self.unet(latent, timestep, PreparedContext(keys_values, aligned))


def context_tensors(prepared: PreparedContext) -> dict[str, Tensor]:
    """Return the tensors of a prepared context under the names that they have in the graph."""
    tensors = {}
    for index, (keys, values) in enumerate(prepared.keys_values):
        tensors[f"keys_{index}"] = keys
        tensors[f"values_{index}"] = values
    for level, aligned in enumerate(prepared.aligned):
        tensors[f"aligned_{level}"] = aligned
    return tensors


class WaveformGraph(nn.Module):
    """The vocoder, cut to whole mel frames and without complex numbers."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        real_form = REAL_FORMS.get(type(vocoder))
        self.vocoder = real_form(vocoder) if real_form is not None else vocoder

    def forward(self, mel: Float[Tensor, "B T M"], *pitch: Tensor) -> Float[Tensor, "B S"]:
        """Return 160 samples per frame; `pitch` as `PitchGraph` gives it, where there is one."""
        return self.vocoder(mel, *pitch)[:, : SAMPLES_PER_MEL_FRAME * mel.shape[1]]


class PitchGraph(nn.Module):
    """The pitch that a vocoder's harmonic source is made of."""

    def __init__(self, vocoder: HarmonicVocos) -> None:
        super().__init__()
        self.estimator = vocoder.pitch

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T 2"]:
        """Return the frequency (Hz) of every frame, and the probability that it has a pitch."""
        return torch.stack(self.estimator.pitch(mel), dim=-1)


class RealVocos(nn.Module):
    """Vocos with its inverse STFT as one transposed convolution of real numbers.

    Runtimes for ONNX graphs have no complex numbers, and few have an inverse FFT.
    """

    waves: Tensor
    squared_window: Tensor

    def __init__(self, vocos: Vocos) -> None:
        super().__init__()
        self.vocos = vocos
        stft = vocos.inverse_stft
        self.register_buffer("waves", _synthesis_waves(stft))
        self.register_buffer("squared_window", stft.window.square().view(1, 1, -1))

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform of `Vocos.forward`."""
        magnitude, phase = self.vocos.spectrogram(mel)
        return self.waveform(magnitude * phase.cos(), magnitude * phase.sin())

    def waveform(
        self, real: Float[Tensor, "B T F"], imag: Float[Tensor, "B T F"]
    ) -> Float[Tensor, "B S"]:
        """Return the inverse STFT."""
        spectrum = torch.cat([real, imag], dim=-1).transpose(1, 2)  # B T 2F -> B 2F T
        envelope = self._overlap_add(torch.ones_like(spectrum[:1, :1]), self.squared_window)
        return self._overlap_add(spectrum, self.waves) / envelope

    def _overlap_add(
        self, frames: Float[Tensor, "B _C T"], waves: Float[Tensor, "_C 1 taps"]
    ) -> Float[Tensor, "B S"]:
        stft = self.vocos.inverse_stft
        edge = (stft.fft_size - stft.hop_length) // 2
        return F.conv_transpose1d(frames, waves, stride=stft.hop_length)[:, 0, edge:-edge]


class RealHarmonicVocos(RealVocos):
    """HarmonicVocos with the STFT of its pulses as a convolution of real numbers, too."""

    vocos: HarmonicVocos
    analysis_waves: Tensor

    def __init__(self, vocos: HarmonicVocos) -> None:
        super().__init__(vocos)
        self.register_buffer("analysis_waves", _analysis_waves(vocos.inverse_stft))

    def forward(
        self, mel: Float[Tensor, "B T M"], pitch: Float[Tensor, "B T 2"]
    ) -> Float[Tensor, "B S"]:
        """Return the waveform of `HarmonicVocos.forward`, given what `PitchGraph` returns."""
        stft, (frequency, voicing) = self.vocos.inverse_stft, pitch.unbind(-1)
        wav = pulses(frequency, stft.hop_length).unsqueeze(1)
        edge = (stft.fft_size - stft.hop_length) // 2
        lines = F.conv1d(wav, self.analysis_waves, stride=stft.hop_length, padding=edge)
        real, imag = lines.transpose(1, 2).chunk(2, dim=-1)  # B 2F T -> B T 2F
        source = unit_phases(real, imag, voicing)
        return self.waveform(*self.vocos.lines(mel, *source))


# Vocoders that compute with complex numbers, which no graph has, and their forms without.
REAL_FORMS: Mapping[type[Vocoder], Callable[..., nn.Module]] = {
    Vocos: RealVocos,
    HarmonicVocos: RealHarmonicVocos,
}


def _synthesis_waves(stft: InverseSTFT) -> Float[Tensor, "_C 1 taps"]:
    """Return what every real, then every imaginary part adds to a frame, the window applied."""
    size = stft.fft_size
    angles = _angles(size)
    lines = angles[:, 0]
    # All but the first and the last line stand for themselves and their conjugate.
    weights = torch.full((len(lines), 1), 2 / size, dtype=torch.float64)
    weights[[0, -1]] = 1 / size
    waves = torch.cat([weights * angles.cos(), -weights * angles.sin()])
    waves[[len(lines), -1]] = 0  # sines that are zero at every sample
    return (waves * stft.window.double()).float().unsqueeze(1)


def _analysis_waves(stft: InverseSTFT) -> Float[Tensor, "_C 1 taps"]:
    """Return what the real, then the imaginary part of every line sums of a frame."""
    angles = _angles(stft.fft_size)
    waves = torch.cat([angles.cos(), -angles.sin()])
    return (waves * stft.window.double()).float().unsqueeze(1)


def _angles(size: int) -> Float[Tensor, "F taps"]:
    """Return the phase of every line's wave at every sample of a frame, float64."""
    lines, samples = torch.arange(size // 2 + 1), torch.arange(size)
    # Reduced before the division: exact, where large angles would lose digits.
    return 2 * math.pi / size * (lines[:, None] * samples % size).double()


def decoder_graphs(decoder: Decoder, num_positions: int) -> dict[str, Graph]:
    """Return the modules by name.

    Args:
        decoder: decoder on the CPU, in float32.
        num_positions: positions of a whole window.
    """
    mel_axes = {0: "batch", 1: "mel_frames"}
    return {
        "unet": step_graph(decoder, num_positions),
        "vae": Graph(
            module=decoder.vae,
            inputs={"latent": _example_latent(decoder)},
            output="mel",
            dynamic_axes={"latent": {0: "batch", 2: "frames"}, "mel": mel_axes},
        ),
        **_vocoder_graphs(decoder, mel_axes),
    }


def _vocoder_graphs(decoder: Decoder, frame_axes: dict[int, str]) -> dict[str, Graph]:
    """Return the vocoder's graph, and before it that of its pitch, where there is one."""
    num_frames = MEL_FRAMES_PER_LATENT_FRAME * decoder.config.latent_shape[1]
    mel = torch.randn(1, num_frames, decoder.config.vocoder.num_mel_bins)
    graphs: dict[str, Graph] = {}
    inputs = {"mel": mel}
    if isinstance(decoder.vocoder, HarmonicVocos):
        graphs["pitch"] = Graph(
            module=PitchGraph(decoder.vocoder),
            inputs={"mel": mel},
            output="pitch",
            dynamic_axes={"mel": frame_axes, "pitch": frame_axes},
        )
        with torch.no_grad():
            inputs["pitch"] = graphs["pitch"].module(mel)
    graphs["vocoder"] = Graph(
        module=WaveformGraph(decoder.vocoder),
        inputs=inputs,
        output="wav",
        dynamic_axes={**dict.fromkeys(inputs, frame_axes), "wav": {0: "batch", 1: "samples"}},
    )
    return graphs


@torch.no_grad()
def step_graph(decoder: Decoder, num_positions: int) -> Graph:
    """Return the T-UNet's step; `num_positions` are those of a whole window."""
    condition = decoder.condition
    num_rows = num_positions * condition.config.unstacks
    prepared = decoder.unet.prepare_context(
        torch.randn(1, num_rows, condition.config.context_width)
    )
    context = context_tensors(prepared)
    axes: dict[str, dict[int, str]] = {name: _context_axes(name) for name in context}
    inputs = {"latent": _example_latent(decoder), "timestep": torch.tensor([500]), **context}
    axes["timestep"] = {0: "batch"}
    axes["latent"] = axes["velocity"] = {0: "batch", 2: "frames"}
    step = DiffusionStep(decoder.unet, len(prepared.keys_values))
    return Graph(module=step, inputs=inputs, output="velocity", dynamic_axes=axes)


def example(graph: Graph, batch_size: int, num_parts: int) -> Sequence[Tensor]:
    """Return inputs of another size: `batch_size` items of 1 / `num_parts` of a window."""
    resized = []
    for name, tensor in graph.inputs.items():
        items = tensor.expand(batch_size, *tensor.shape[1:])
        for axis in set(graph.dynamic_axes[name]) - {0}:
            items = items.narrow(axis, 0, items.shape[axis] // num_parts)
        if tensor.is_floating_point():
            items = items + 0.1 * torch.randn(items.shape)  # items that differ
        resized.append(items.contiguous())
    return resized


def _example_latent(decoder: Decoder) -> Float[Tensor, "1 C T F"]:
    return torch.randn(1, *decoder.config.latent_shape)


def _context_axes(name: str) -> dict[int, str]:
    kind, _, index = name.partition("_")
    return {0: "batch", 2: f"frames_{index}" if kind == "aligned" else "positions"}
