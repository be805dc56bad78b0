"""Speaker similarity: whether a decoded voice still passes for the same person."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional as F

from semanticodec.checkpoints.transformers_model import read_model
from semanticodec.errors import AudioError, CheckpointError, ConfigError
from semanticodec.evaluation.metrics.base import Metric, Pair, Resources, check_audible, needs
from semanticodec.token_format import SAMPLE_RATE

EXAMPLE = "microsoft/wavlm-base-plus-sv"
# The last layers of these models see 15 frames of 20 ms at least.
SHORTEST_S = 0.5


class SpeakerModel:
    """A model of transformers that embeds voices, such as WavLM with an x-vector head.

    Args:
        source: a folder, which is read without touching the network, or a Hub id.
        device: such as `cpu` or `cuda`.
    Attributes:
        name: name in reports; no path.
    Raises:
        ConfigError: neither a folder nor a Hub id.
        MissingDependencyError: transformers is not installed.
    """

    def __init__(self, source: str, *, device: str = "cpu") -> None:
        folder = Path(source).expanduser()
        self._is_folder = folder.is_dir()
        if not self._is_folder and not re.fullmatch(r"\w[\w.-]*/[\w.-]+", source):
            raise ConfigError(
                f"'{source}' is neither a folder nor a Hub id owner/name; give a folder with "
                f"config.json, preprocessor_config.json and model.safetensors, or {EXAMPLE}"
            )
        with needs("transformers", extra="peers"):
            import transformers  # noqa: F401
        self.name = folder.resolve().name if self._is_folder else source
        self._source = str(folder) if self._is_folder else source
        self._device = device

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """The feature extractor and the model, loaded once."""
        from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

        try:
            extractor = AutoFeatureExtractor.from_pretrained(
                self._source, local_files_only=self._is_folder
            )
            model, missing = read_model(
                AutoModelForAudioXVector, self._source, is_folder=self._is_folder
            )
        except Exception as error:  # damaged files raise whatever their readers do
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckpointError(
                f"the speaker model could not be loaded from {self._source}: {reason}; "
                f"download the model once, such as {EXAMPLE}, or give a folder with its files"
            ) from error
        if missing:
            raise CheckpointError(
                f"{self._source} lacks {len(missing)} weights of a speaker model, such as "
                f"{missing[0]}; give a model with an x-vector head, such as {EXAMPLE}"
            )
        return extractor, model.to(device=self._device, dtype=torch.float32).eval()

    @torch.inference_mode()
    def embed(self, wav: Float[np.ndarray, " S"]) -> Float[np.ndarray, " D"]:
        """Return the voice of a clip as a vector of length 1.

        Args:
            wav: speech, 16 kHz mono.
        Raises:
            AudioError: less than half a second.
            CheckpointError: the weights cannot be loaded.
        """
        if len(wav) < SHORTEST_S * SAMPLE_RATE:
            raise AudioError(
                f"a clip of {len(wav) / SAMPLE_RATE:.2f} s is too short to know a voice; "
                f"give speech of at least {SHORTEST_S} s"
            )
        extractor, model = self._parts
        inputs = extractor(wav, sampling_rate=SAMPLE_RATE, return_tensors="pt").to(self._device)
        return F.normalize(model(**inputs).embeddings, dim=-1)[0].cpu().numpy()


def _open(resources: Resources) -> SpeakerModel:
    if resources.speaker_model is None:
        raise ConfigError(
            "the metric 'speaker_similarity' needs a model that tells speakers apart; give "
            f"--speaker-model FOLDER or its Hub id, such as {EXAMPLE}"
        )
    return SpeakerModel(resources.speaker_model, device=resources.device)


def _measure(pair: Pair, model: SpeakerModel) -> tuple[float, ...]:
    check_audible(pair.reference, "reference", "speaker similarity")
    check_audible(pair.decoded, "decoded", "speaker similarity")
    return (float(model.embed(pair.reference) @ model.embed(pair.decoded)),)


# The cosine between the embeddings: 1 for equal clips. Its scale is the model's own.
SPEAKER = Metric(
    name="speaker_similarity",
    label="Speaker similarity",
    is_higher_better=True,
    measure=_measure,
    open=_open,
    family="speech",
    is_speech_only=True,
)
