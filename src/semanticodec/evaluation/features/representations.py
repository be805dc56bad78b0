"""What a codec's encoder makes of a window, from the patch embedding to the codes.

embedding     patches after the linear map and their positions, before any block
block N       output of AudioMAE's block N
features      averages of the last blocks: what is clustered and quantized
beside        features with the patch embedding beside them
centroids     of the semantic codes
codes         centroids and quantized acoustic features: what the decoder is given
unquantized   what `codes` would be if every vector had a code of its own
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.checkpoints.pretrained import (
    choose_vocabulary,
    model_folder,
    read_setting,
    read_weights,
)
from semanticodec.checkpoints.trained_module import read_module, restore_module
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder
from semanticodec.layers.stacking import stack_patches

ENCODER = "encoder."


def audiomae_representations(
    audiomae: AudioMAE, fbank: Float[Tensor, "1 T M"]
) -> Mapping[str, Float[Tensor, "L _D"]]:
    """Return what AudioMAE makes of a window, one row per patch.

    Args:
        audiomae: the encoder.
        fbank: normalized filter bank.
    """
    found: dict[str, Tensor] = {}
    hooks = []
    for index, block in enumerate(audiomae.blocks):

        def keep(module: torch.nn.Module, inputs: object, output: Tensor, index: int = index):
            found[f"block {index + 1}"] = output[0, 1:].clone()

        hooks.append(block.register_forward_hook(keep))
    try:
        features = audiomae(fbank)[0]
    finally:
        for hook in hooks:
            hook.remove()
    embedding = audiomae.embed(fbank)[0]
    beside = torch.cat([features, embedding], dim=-1)
    return {"embedding": embedding, **found, "features": features, "beside": beside}


def code_representations(
    encoder: Encoder,
    fbank: Float[Tensor, "1 T M"],
    mel: Float[Tensor, "1 T M2"],
    features: Float[Tensor, "1 L D"],
) -> Mapping[str, Float[Tensor, "L _D"]]:
    """Return what the quantizers make of a window, one row per position.

    Args:
        encoder: encoder with one semantic vocabulary, in evaluation mode.
        fbank: normalized filter bank.
        mel: log-mel spectrogram of the same frames.
        features: stacked AudioMAE features of it.
    """
    vocab_size = encoder.config.semantic.vocab_sizes[0]
    output = encoder(features, encoder.valid_positions(fbank), vocab_size, mel=mel)
    centroids, acoustic = output.semantic_features[0], output.acoustic_features[0]
    unquantized = encoder.quantizer.bypass(output.vectors)[0]
    return {
        "centroids": centroids,
        "codes": torch.cat([acoustic, centroids], dim=-1),
        "unquantized": torch.cat([unquantized, features[0]], dim=-1),
    }


class Representations:
    """Computes all representations of a window, as rows that describe K patches each.

    Args:
        audiomae: AudioMAE alone, K = 1.
        encoder: the encoder around it; without it there are no codes.
    """

    def __init__(self, audiomae: AudioMAE, encoder: Encoder | None = None) -> None:
        self.audiomae = audiomae.eval()
        self.encoder = None if encoder is None else encoder.eval()
        self.stack_factor = 1 if encoder is None else encoder.config.stack_factor

    @classmethod
    def of_model(cls, source: str | Path | None, token_rate: int | None) -> Representations:
        """Read a codec's encoder: the built-in one (None), a folder or a Hub model."""
        config, files = read_setting(model_folder(source), token_rate)
        config = choose_vocabulary(config, None)
        encoder = Encoder(config.encoder)
        weights = read_weights(files, config)
        encoder.load_state_dict(
            {
                name.removeprefix(ENCODER): tensor
                for name, tensor in weights.items()
                if name.startswith(ENCODER)
            }
        )
        return cls(encoder.audiomae, encoder)

    @classmethod
    def of_audiomae(cls, folder: Path) -> Representations:
        """Read an export of the stage `audiomae`."""
        sizes, _ = read_module(folder, "audiomae")
        audiomae = AudioMAE(AudioMAE.Config(**sizes))
        restore_module(audiomae, folder, "audiomae")
        return cls(audiomae)

    @torch.no_grad()
    def compute(
        self, fbank: Float[Tensor, "1 T M"], mel: Float[Tensor, "1 T M2"]
    ) -> Mapping[str, Float[Tensor, "L _D"]]:
        """Return every representation of a window, one row per position.

        Args:
            fbank: normalized filter bank, T whole columns of positions.
            mel: log-mel spectrogram of the same frames.
        """
        bands = self.audiomae.config.num_bands
        found = {
            name: stack_patches(rows[None], self.stack_factor, bands)[0]
            for name, rows in audiomae_representations(self.audiomae, fbank).items()
        }
        if self.encoder is not None:
            found.update(code_representations(self.encoder, fbank, mel, found["features"][None]))
        return found
