"""The codecs of a model's settings: loaded when first asked for, shared by all that ask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.checkpoints.index import read_index
from semanticodec.checkpoints.pretrained import read_setting
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec.codec import SemantiCodec

NUM_KEPT = 4  # of 100 MB and more each


class Codecs:
    """Codecs by token rate and semantic vocabulary; the last few stay loaded.

    Args:
        settings: semantic vocabularies by token rate, see `offered_settings`.
        load: load(token_rate, semantic_vocab_size) -> codec.
    """

    def __init__(
        self,
        settings: Mapping[int, tuple[int, ...]],
        load: Callable[[int, int], SemantiCodec],
    ) -> None:
        self.settings = settings
        self._load = load
        self._loaded: OrderedDict[tuple[int, int], SemantiCodec] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def token_rates(self) -> list[int]:
        """Tokens per second, the most first."""
        return sorted(self.settings, reverse=True)

    def get(self, token_rate: int, semantic_vocab_size: int | None = None) -> SemantiCodec:
        """Return a codec.

        Args:
            token_rate: tokens per second.
            semantic_vocab_size: entries of the semantic codebook; None for the largest.
        Raises:
            ConfigError: the model does not offer the setting.
        """
        offered = self.settings.get(token_rate)
        if offered is None:
            rates = ", ".join(map(str, self.token_rates))
            raise ConfigError(f"{token_rate} tokens per second; the model offers {rates}")
        key = token_rate, semantic_vocab_size or max(offered)
        with self._lock:
            codec = self._loaded.pop(key, None) or self._load(*key)
            self._loaded[key] = codec
            while len(self._loaded) > NUM_KEPT:
                self._loaded.popitem(last=False)
        return codec


def offered_settings(folder: Path) -> dict[int, tuple[int, ...]]:
    """Return the semantic vocabularies that a model folder offers, by token rate."""
    settings = {}
    for rate in map(int, read_index(folder)["token_rates"]):
        config, _ = read_setting(folder, rate)
        settings[rate] = tuple(sorted(config.encoder.semantic.vocab_sizes))
    return settings
