"""Recordings -> `input_values` and `padding_mask`, what `SemantiCodecModel` takes."""

from __future__ import annotations

import logging

import numpy as np
from transformers import BatchFeature, SequenceFeatureExtractor

from semanticodec.audio.waveforms import Audio, recordings
from semanticodec.errors import AudioError, ConfigError

logger = logging.getLogger(__name__)


class SemantiCodecFeatureExtractor(SequenceFeatureExtractor):
    """Pads recordings to whole columns of the codec's positions, and marks what is real.

    Args:
        feature_size: channels, 1.
        sampling_rate: Hz that recordings must have.
        padding_value: value of samples behind the end of a recording.
        hop_length: samples of one column, the configuration's `hop_length`.
    """

    model_input_names = ["input_values", "padding_mask"]  # noqa: RUF012 - the library's form

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 16_000,
        padding_value: float = 0.0,
        hop_length: int = 2560,
        **kwargs: object,
    ) -> None:
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)
        self.hop_length = hop_length

    def __call__(
        self,
        audio: Audio,
        padding: bool | str = True,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        sampling_rate: int | None = None,
    ) -> BatchFeature:
        """Return what the model takes for one or more recordings.

        Args:
            audio: recordings in any form that `SemantiCodec.encode` takes; channels are averaged.
            padding: True or "longest": to the longest recording, in whole columns; "max_length":
                to `max_length`; False: not at all.
            truncation: whether longer recordings are cut to `max_length`; with `padding=False`.
            max_length: samples, rounded up to whole columns where they are padded.
            return_tensors: "pt", "np", or None for lists.
            sampling_rate: Hz of `audio`; give it, so that a wrong rate is noticed.
        Returns:
            `input_values` float32 [B, 1, T] and `padding_mask` int [B, T], 1 where samples are
            real.
        Raises:
            ConfigError: another rate than the codec's, or settings that exclude each other.
            AudioError: not audio.
        """
        if padding and truncation:
            raise ConfigError(
                "padding and truncation were both asked for; give padding=False to cut recordings "
                "to max_length, or truncation=False to fill them up"
            )
        self._check_rate(sampling_rate)
        rows = [
            np.concatenate([*recording.blocks, np.zeros(0, np.float32)])
            for recording in recordings(audio, self.sampling_rate)
        ]
        batch = self.pad(
            BatchFeature({"input_values": rows}),
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_to_multiple_of=self.hop_length if padding else None,
            return_attention_mask=True,
        )
        lengths = {len(row) for row in batch["input_values"]}
        if len(lengths) > 1 and return_tensors is not None:
            raise AudioError(
                f"recordings of {', '.join(map(str, sorted(lengths)))} samples form no tensor; "
                "give padding=True"
            )
        features = {
            "input_values": [np.asarray(row)[None] for row in batch["input_values"]],
            "padding_mask": list(batch["attention_mask"]),
        }
        return BatchFeature(features, tensor_type=return_tensors)

    def _check_rate(self, sampling_rate: int | None) -> None:
        if sampling_rate is None:
            logger.warning(
                "sampling_rate was not given, so that audio of another rate than %d Hz goes "
                "unnoticed; give the rate of the audio",
                self.sampling_rate,
            )
        elif sampling_rate != self.sampling_rate:
            raise ConfigError(
                f"the audio has {sampling_rate} Hz, the codec takes {self.sampling_rate} Hz; "
                "resample it first"
            )
