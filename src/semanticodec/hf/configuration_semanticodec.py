"""The configuration of a codec as `transformers` keeps it.

Its `config.json` is one of this package too (`checkpoints.index`), so that
`SemantiCodec.from_pretrained` opens what `SemantiCodecModel.save_pretrained` writes.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig

from semanticodec.checkpoints.index import FORMAT
from semanticodec.checkpoints.pretrained import (
    WEIGHTS_NAME,
    choose_vocabulary,
    entry_of,
    index_entry,
)
from semanticodec.config import CodecConfig, config_from_dict
from semanticodec.token_format import TokenFormat


class SemantiCodecConfig(PreTrainedConfig):
    """One setting of the codec; without arguments the official one at 100 tokens per second.

    Attributes:
        format: version of `config.json`.
        default_token_rate: tokens per second of the model.
        token_rates: sizes of all modules and names of the weight files, under the token rate.
        seed: random seed of `SemantiCodecModel.decode` where none is given.
    """

    model_type = "semanticodec"

    def __init__(
        self,
        *,
        format: int = FORMAT,
        default_token_rate: int | None = None,
        token_rates: dict[str, Any] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.format = format
        self.default_token_rate = default_token_rate
        self.token_rates = token_rates or index_entry(
            choose_vocabulary(CodecConfig(), None), [WEIGHTS_NAME]
        )
        self.seed = seed
        super().__init__(**kwargs)

    @classmethod
    def from_codec_config(cls, config: CodecConfig, seed: int = 0) -> SemantiCodecConfig:
        """Return the configuration of a codec of these sizes."""
        return cls(
            default_token_rate=config.token_rate,
            token_rates=index_entry(config, [WEIGHTS_NAME]),
            seed=seed,
        )

    @property
    def codec_config(self) -> CodecConfig:
        """Sizes of all modules.

        Raises:
            ConfigError: a `config.json` that this version does not understand.
        """
        _, setting = entry_of(vars(self), None, "the configuration")
        return choose_vocabulary(config_from_dict(CodecConfig, setting.get("config")), None)

    @property
    def token_format(self) -> TokenFormat:
        """Token rate, vocabularies and sample rate of the codes."""
        return self.codec_config.format

    @property
    def sampling_rate(self) -> int:
        """Hz of the audio on both sides, 16 000."""
        return self.token_format.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples of one time step, a column of 8 or 4 positions: 2560 or 5120."""
        return self.token_format.samples_per_column

    @property
    def frame_rate(self) -> float:
        """Time steps per second, sampling_rate / hop_length."""
        return self.token_format.columns_per_second

    @property
    def codebook_sizes(self) -> tuple[int, int]:
        """Entries of the semantic and of the acoustic codebook, in the order of `audio_codes`."""
        return self.token_format.vocab_sizes

    @property
    def num_codebooks(self) -> int:
        """Streams of `audio_codes`, semantic and acoustic."""
        return len(self.codebook_sizes)
