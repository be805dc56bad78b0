"""How far a generated waveform is from a recording in what a frozen network makes of them.

    waveform, recording ─→ teacher ─→ activations of every layer ─→ difference / their spread

A spectral distance counts every cell alike; a network that was trained to recognize counts what
it recognizes by. Two teachers: the codec's own AudioMAE, and the encoder of a Whisper, whose loss
bears on words. Who trains with a recognizer has to count words with another one as well.

Source: frozen-feature losses as in SSRR and JHCodec; not in the paper.
Shapes: B batch · S samples · T frames · M mel bins · L positions · D width of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.fbank import LOOKAHEAD_SAMPLES, Fbank, normalize_fbank
from semanticodec.audio.spectrogram import magnitude_spectrogram, slaney_filters
from semanticodec.checkpoints.transformers_model import read_model
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.errors import CheckpointError, MissingDependencyError
from semanticodec.token_format import PATCH_SAMPLES, SAMPLE_RATE

WHISPER_WINDOW, WHISPER_HOP = 400, 160
WHISPER_FLOOR = 1e-10
# Log10 energies this far below the loudest are silence to Whisper, which sees (log10 + 4) / 4.
WHISPER_RANGE, WHISPER_OFFSET, WHISPER_SCALE = 8.0, 4.0, 4.0


class Teacher(nn.Module):
    """A frozen network that gives activations of waveforms."""

    def forward(self, wav: Float[Tensor, "B S"]) -> Sequence[Float[Tensor, "B _L _D"]]:
        """Return the activations of every layer, float32, with gradients.

        Args:
            wav: 16 kHz waveform in [-1, 1].
        """
        raise NotImplementedError


class AudioMAETeacher(Teacher):
    """The codec's AudioMAE: what its semantic codes are made from.

    Args:
        audiomae: the network.
    """

    def __init__(self, audiomae: AudioMAE) -> None:
        super().__init__()
        self.audiomae = audiomae.requires_grad_(False).eval()
        self.fbank = Fbank(audiomae.config.num_mel_bins)

    def forward(self, wav: Float[Tensor, "B S"]) -> Sequence[Float[Tensor, "B _L _D"]]:
        """Return the averaged features of the whole patches in a waveform.

        Args:
            wav: a patch (0.16 s) and the rest of its last frames (15 ms), or more.
        """
        num_patches = (wav.shape[1] - LOOKAHEAD_SAMPLES) // PATCH_SAMPLES
        whole = wav[:, : num_patches * PATCH_SAMPLES + LOOKAHEAD_SAMPLES]
        return [self.audiomae(normalize_fbank(self.fbank(whole)))]


class WhisperTeacher(Teacher):
    """The encoder of a Whisper in transformers' form.

    Args:
        folder: config.json and model.safetensors; nothing is read from the network.
    Raises:
        CheckpointError: it cannot be read.
        MissingDependencyError: transformers is not installed.
    """

    filters: Tensor
    window: Tensor
    places: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = _whisper_encoder(folder)
        bins = self.encoder.config.num_mel_bins
        filters = slaney_filters(SAMPLE_RATE, WHISPER_WINDOW, bins, SAMPLE_RATE / 2)
        self.register_buffer("filters", filters)
        self.register_buffer("window", torch.hann_window(WHISPER_WINDOW))
        self.register_buffer("places", self.encoder.embed_positions.weight.detach().clone())

    def forward(self, wav: Float[Tensor, "B S"]) -> Sequence[Float[Tensor, "B _L _D"]]:
        """Return the activations of every layer, 50 per second."""
        mel = self.log_mel(wav)
        mel = mel[:, :, : mel.shape[2] // 2 * 2]
        self._take(mel.shape[2] // 2)
        return self.encoder(mel, output_hidden_states=True).hidden_states[1:]

    def log_mel(self, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B M T"]:
        """Return what Whisper sees of a waveform, without the silence that fills up 30 s."""
        magnitude = magnitude_spectrogram(wav, self.window, WHISPER_HOP)[:, :-1]
        mel = (magnitude.square() @ self.filters).clamp_min(WHISPER_FLOOR).log10()
        loudest = mel.detach().amax(dim=(1, 2), keepdim=True)
        mel = torch.maximum(mel, loudest - WHISPER_RANGE)
        return ((mel + WHISPER_OFFSET) / WHISPER_SCALE).transpose(1, 2)

    def _take(self, length: int) -> None:
        """Let the encoder take so many positions: as it comes, it takes 30 s and nothing else."""
        if self.encoder.config.max_source_positions != length:
            places = nn.Embedding.from_pretrained(self.places[:length])
            self.encoder.embed_positions = places.to(self.places.device)
            self.encoder.config.max_source_positions = length


class FeatureLoss:
    """Mean absolute difference of activations over their spread, averaged over the layers.

    No module, so that no checkpoint holds the teacher.

    Args:
        teacher: frozen network.
    """

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher.requires_grad_(False).eval()

    def __call__(
        self, generated: Float[Tensor, "B S"], real: Float[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Return the distance: 0 for equal waveforms, about 1 for others.

        Args:
            generated: waveforms of the network in training.
            real: recordings that they shall equal.
        """
        teacher = self.teacher.to(generated.device)
        with torch.autocast(generated.device.type, enabled=False):
            with torch.no_grad():
                wanted = teacher(real.float())
            distances = [
                (ours - theirs).abs().mean() / _spread(theirs)
                for ours, theirs in zip(teacher(generated.float()), wanted, strict=True)
            ]
        return torch.stack(distances).mean()


def _spread(features: Float[Tensor, "B L D"]) -> Float[Tensor, ""]:
    """Return the mean absolute difference of activations from their mean over time."""
    return (features - features.mean(dim=1, keepdim=True)).abs().mean().clamp_min(1e-6)


def _whisper_encoder(folder: Path) -> Any:
    try:
        from transformers import WhisperModel
    except ImportError as error:
        raise MissingDependencyError(
            f"a recognizer that teaches needs transformers, which cannot be imported ({error}); "
            "install it with pip install 'semanticodec[peers]'"
        ) from error
    try:
        model, lacking = read_model(WhisperModel, folder, is_folder=True)
    except Exception as error:  # damaged files raise whatever their readers do
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(
            f"no Whisper could be loaded from {folder}: {reason}; give a folder in transformers' "
            "form, with config.json and model.safetensors"
        ) from error
    if missing := [name for name in lacking if name.startswith("encoder.")]:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights of Whisper's encoder, such as {missing[0]}; "
            "download the model again"
        )
    return model.encoder
