"""HEAR's interface: a codec as the embedding model that other people's benchmarks import.

    model = load_model()                                    # the built-in codec, both layers
    scenes = get_scene_embeddings(audio, model)             # [n_sounds, D]
    embeddings, timestamps = get_timestamp_embeddings(audio, model)

A codec has several positions (frequency bands) per time step. An embedding has their features side
by side, low frequencies first; a sound's is the mean of those of its time steps.
"""

from __future__ import annotations

import os

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.codec import SemantiCodec
from semanticodec.errors import AudioError, ConfigError

LAYERS = ("all", "semantic", "acoustic", "continuous")


class HearModel(nn.Module):
    """A codec with the attributes that HEAR asks of a model.

    Attributes:
        sample_rate: Hz that the audio must have, 16 000.
        scene_embedding_size: width of a scene embedding, all bands of a time step together.
        timestamp_embedding_size: width of the embedding of a time step, the same.
        step_ms: milliseconds from one timestamp to the next.
    """

    def __init__(self, codec: SemantiCodec, layers: str = "all") -> None:
        super().__init__()
        check_layers(layers)
        config = codec.config.encoder
        self.codec = codec
        self.layers = layers
        self.sample_rate = codec.sample_rate
        self.positions_per_step = codec.format.positions_per_column
        width = config.width * (2 if layers == "all" else 1)
        self.scene_embedding_size = self.positions_per_step * width
        self.timestamp_embedding_size = self.scene_embedding_size
        self.step_ms = 1000 / codec.frame_rate

    def forward(self, audio: Float[Tensor, "B S"]) -> Float[Tensor, "B T D"]:
        """Return the features of every time step, band after band, float32 on the CPU.

        Args:
            audio: mono sounds of one length in [-1, 1] at 16 kHz.
        Raises:
            AudioError: wrong shape, NaN, or shorter than 25 ms.
        """
        if audio.ndim != 2 or not audio.shape[0]:
            raise AudioError(
                f"audio of shape {tuple(audio.shape)} is not [n_sounds, n_samples]; "
                "give one row of mono samples per sound"
            )
        rows = list(audio.unbind(0))
        features = self.codec.features(rows, self.layers, self.sample_rate)
        return features.unflatten(1, (-1, self.positions_per_step)).flatten(2)  # B T P D -> B T PD


def check_layers(layers: str) -> None:
    """Raise ConfigError unless `layers` names features of a codec."""
    if layers not in LAYERS:
        raise ConfigError(f"layers is {layers!r}; choose one of {', '.join(LAYERS)}")


def load_model(
    model_file_path: str | os.PathLike[str] = "",
    layers: str | None = None,
    *,
    token_rate: int | None = None,
    semantic_vocab_size: int | None = None,
) -> HearModel:
    """Return a codec as HEAR's tools take it.

    Args:
        model_file_path: "" for the built-in model, a model folder, or a Hub id; those tools pass
            nothing else on, so it may end with the layers: ":semantic", "folder:continuous".
        layers: "all" (default), "semantic", "acoustic" or "continuous"; see
            `SemantiCodec.features`.
        token_rate: for models with several rates.
        semantic_vocab_size: for models with several semantic codebooks.
    Raises:
        CheckpointError: no such model.
        ConfigError: no such layers, or a setting that the model does not offer.
    """
    source, separator, suffix = os.fspath(model_file_path).rpartition(":")
    if not separator or suffix not in LAYERS:
        source, suffix = os.fspath(model_file_path), "all"
    check_layers(layers or suffix)
    codec = SemantiCodec.from_pretrained(
        source or None, token_rate=token_rate, semantic_vocab_size=semantic_vocab_size
    )
    return HearModel(codec, layers or suffix)


@torch.inference_mode()
def get_scene_embeddings(audio: Float[Tensor, "B S"], model: HearModel) -> Float[Tensor, "B D"]:
    """Return one embedding per sound: the mean over its time steps (paper Sec. IV-C).

    Args:
        audio: [n_sounds, n_samples], mono, in [-1, 1], at 16 kHz.
        model: from `load_model`.
    Raises:
        AudioError: wrong shape, NaN, or shorter than 25 ms.
    """
    return model(audio).mean(dim=1).to(audio.device)


@torch.inference_mode()
def get_timestamp_embeddings(
    audio: Float[Tensor, "B S"], model: HearModel
) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T"]]:
    """Return one embedding per time step, and the milliseconds at which the steps are centered.

    The last step is centered as the others are, also where the sound ends inside it.

    Args:
        audio: [n_sounds, n_samples], mono, in [-1, 1], at 16 kHz.
        model: from `load_model`.
    Raises:
        AudioError: wrong shape, NaN, or shorter than 25 ms.
    """
    embeddings = model(audio).to(audio.device)
    num_sounds, num_steps, _ = embeddings.shape
    centers_ms = (torch.arange(num_steps, device=audio.device) + 0.5) * model.step_ms
    return embeddings, centers_ms.expand(num_sounds, num_steps)
