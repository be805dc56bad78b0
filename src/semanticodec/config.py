"""The configuration of a whole codec: the boxes' own Configs in one tree, and its JSON form."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from semanticodec.decoder.condition import Condition
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEConfig
from semanticodec.decoder.vocos import Vocos
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.token_format import TokenGrid

VOCODER_CONFIGS = {"hifigan": HiFiGAN.Config, "vocos": Vocos.Config}


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """One setting of the codec (paper Table I): a token rate and the sizes of every box.

    Attributes:
        token_rate: tokens per second counting both streams: 25, 50 or 100.
        encoder: boxes left of the codes.
        decoder: boxes right of the codes.
        pads_windows: the last window of a recording is computed at its full 10.24 s, filled up
            with silence, as the release does. Otherwise it is computed at its own length, rounded
            up to 0.32 s: short recordings then cost no more than they last.
    """

    token_rate: int = 100
    encoder: Encoder.Config = field(default_factory=Encoder.Config)
    decoder: Decoder.Config = field(default_factory=Decoder.Config)
    pads_windows: bool = True

    def __post_init__(self) -> None:
        stack_factor = TokenGrid(self.token_rate).stack_factor
        if self.encoder.stack_factor != stack_factor:
            raise ConfigError(
                f"token_rate {self.token_rate} needs a stack factor of {stack_factor}, "
                f"not {self.encoder.stack_factor}"
            )


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return a box's or codec's configuration as JSON-ready values, vocoders tagged by class."""
    values: dict[str, Any] = {}
    for name, kind in VOCODER_CONFIGS.items():
        if type(config) is kind:
            values["class"] = name
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        is_config = dataclasses.is_dataclass(value)
        plain = list(value) if isinstance(value, tuple) else value
        values[item.name] = config_to_dict(value) if is_config else plain
    return values


def config_from_dict(kind: type, values: Any, where: str = "config") -> Any:
    """Return the configuration of class `kind` from the values of `config_to_dict`.

    Raises:
        ConfigError: a key that the class does not know, or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where} is {type(values).__name__}, not an object; is config.json whole?"
        )
    hints = typing.get_type_hints(kind)
    known = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known - {"class"})
    if unknown:
        raise ConfigError(
            f"{where} has unknown settings {unknown}; it may come from a newer version"
        )
    built = {
        name: _value(hints[name], value, f"{where}.{name}")
        for name, value in values.items()
        if name in known
    }
    return kind(**built)


def _value(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if value is None:
            return None
        if isinstance(value, dict) and value.get("class") in VOCODER_CONFIGS:
            return config_from_dict(VOCODER_CONFIGS[value["class"]], value, where)
        return _value(options[0], value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return config_from_dict(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} is {value!r}; a list is needed")
        return tuple(value)
    assert isinstance(hint, type), hint
    return _scalar(hint, value, where)


def _scalar(kind: type, value: Any, where: str) -> Any:
    is_whole_number = kind is float and type(value) is int
    if type(value) is not kind and not is_whole_number:
        raise ConfigError(f"{where} is {value!r}; a value of type {kind.__name__} is needed")
    return kind(value)


def tiny(token_rate: int = 100) -> CodecConfig:
    """Return a codec of a few thousand weights: every box is there, nothing sounds.

    For tests, the walk-through and trying out interfaces.

    Args:
        token_rate: 25, 50 or 100.
    """
    stack_factor = TokenGrid(token_rate).stack_factor
    width = 8 * stack_factor
    condition = Condition.Config(width=width, position_width=8)
    return CodecConfig(
        token_rate=token_rate,
        encoder=Encoder.Config(
            audiomae=AudioMAE.Config(width=8, depth=3, num_heads=2),
            stack_factor=stack_factor,
            semantic=SemanticQuantizer.Config(width=width, vocab_sizes=(64, 128)),
            acoustic=AcousticEncoder.Config(width=width, hidden=8, num_layers=1),
            quantizer=VectorQuantizer.Config(width=width, codebook_size=64),
        ),
        decoder=Decoder.Config(
            condition=condition,
            unet=TUNet.Config(
                base_channels=8,
                channel_multipliers=(1, 1, 1, 1),
                num_res_blocks=1,
                head_width=4,
                context_width=2 * width + condition.position_width,
                num_groups=4,
            ),
            vae=VAEConfig(base_channels=8, num_res_blocks=1, num_groups=4),
            vocoder=Vocos.Config(width=16, hidden=16, num_layers=1),
            sampling=SamplingConfig(num_steps=4),
        ),
    )
