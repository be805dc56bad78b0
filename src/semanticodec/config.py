"""The configuration of a whole codec: the modules' own Configs in one tree, and its JSON form."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from semanticodec.decoder.condition import Condition
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.sampling import SamplingConfig
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEConfig
from semanticodec.decoder.vocoder import VocoderConfig
from semanticodec.decoder.vocoders import VOCODERS
from semanticodec.decoder.vocos import Vocos
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.quantizer import QuantizerConfig
from semanticodec.encoder.quantizers import QUANTIZERS
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import ConfigError
from semanticodec.token_format import TokenFormat, TokenGrid, vocab_size_of

# A setting with one of these types holds the nested Config of one of several classes; in JSON the
# key TAG has the class's name in its table. Another choice between classes is another line here.
CHOICES: Mapping[type, Mapping[str, Any]] = {VocoderConfig: VOCODERS, QuantizerConfig: QUANTIZERS}
TAG = "class"
LARGEST_NUMBER = (1 << 63) - 1  # what torch takes for a size; NaN is not below it either


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """One setting of the codec (paper Table I): a token rate and the sizes of every module.

    Attributes:
        token_rate: tokens per second counting both streams: 25, 50 or 100.
        encoder: modules left of the codes.
        decoder: modules right of the codes.
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

    @property
    def format(self) -> TokenFormat:
        """Token rate, vocabularies and sample rate of the codes.

        Raises:
            ConfigError: semantic codebooks of several sizes, of which a codec has one.
        """
        vocab_sizes = self.encoder.semantic.vocab_sizes
        if len(vocab_sizes) != 1:
            raise ConfigError(
                f"a codec has one semantic vocabulary, not {vocab_sizes}; "
                "choose one with semantic_vocab_size"
            )
        return TokenFormat(
            self.token_rate,
            semantic_vocab_size=vocab_sizes[0],
            acoustic_vocab_size=vocab_size_of(self.encoder.quantizer.codebook_size),
        )


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration, a dataclass, as JSON-ready values; those of CHOICES with a tag."""
    tags = {kind.Config: tag for classes in CHOICES.values() for tag, kind in classes.items()}
    values: dict[str, Any] = {TAG: tags[type(config)]} if type(config) in tags else {}
    for item in dataclasses.fields(config):
        values[item.name] = _plain(getattr(config, item.name))
    return values


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_to_dict(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def config_from_dict(kind: type, values: Any, where: str = "config") -> Any:
    """Return the configuration of class `kind` from the values of `config_to_dict`.

    Args:
        kind: a dataclass, or a key of CHOICES for one of its classes.
        values: settings by name, sequences as lists; what is missing has its default.
        where: name of the configuration in messages.
    Raises:
        ConfigError: a key or tag that is not known, or a value of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where} is {type(values).__name__}, not an object; is config.json whole?"
        )
    settings = {name: value for name, value in values.items() if name != TAG}
    kind = _tagged_class(kind, values.get(TAG), settings, where)
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(settings) - _names(kind))
    if unknown:
        raise ConfigError(
            f"{where} has unknown settings {unknown}; it may come from a newer version"
        )
    built = {
        name: _value(hints[name], value, f"{where}.{name}") for name, value in settings.items()
    }
    return kind(**built)


def _tagged_class(kind: type, tag: Any, settings: Mapping[str, Any], where: str) -> type:
    """Return the Config class that a tag stands for, or `kind` where there is no choice."""
    classes = CHOICES.get(kind)
    if classes is None:
        return kind
    if tag is None:
        # Written before there was a choice: the first class that knows all the settings.
        configs = [known.Config for known in classes.values()]
        return next((each for each in configs if set(settings) <= _names(each)), configs[0])
    if not isinstance(tag, str) or tag not in classes:
        raise ConfigError(
            f"{where} is of the class {tag!r}; this version knows {', '.join(classes)}"
        )
    return classes[tag].Config


def _names(kind: type) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in arguments if option is not type(None)]
        return None if value is None else _value(options[0], value, where)
    if isinstance(hint, type) and (hint in CHOICES or dataclasses.is_dataclass(hint)):
        return config_from_dict(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} is {value!r}; a list is needed")
        return _tuple(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where} is {value!r}; choose one of {arguments}")
        return value
    assert isinstance(hint, type), hint
    return _scalar(hint, value, where)


def _tuple(hints: tuple[Any, ...], values: Sequence[Any], where: str) -> tuple[Any, ...]:
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(values)
    if len(values) != len(hints):
        raise ConfigError(f"{where} is {values!r}; {len(hints)} values are needed")
    pairs = enumerate(zip(hints, values))
    return tuple(_value(hint, item, f"{where}[{number}]") for number, (hint, item) in pairs)


def _scalar(kind: type, value: Any, where: str) -> Any:
    is_whole_number = kind is float and type(value) is int
    if type(value) is not kind and not is_whole_number:
        raise ConfigError(f"{where} is {value!r}; a value of type {kind.__name__} is needed")
    if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        raise ConfigError(f"{where} is {value!r}; a number of at most {LARGEST_NUMBER} is needed")
    return kind(value)


def tiny(token_rate: int = 100) -> CodecConfig:
    """Return a codec of a few thousand weights: every module is there, nothing sounds.

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
                context_width=condition.context_width,
                num_groups=4,
            ),
            vae=VAEConfig(base_channels=8, num_res_blocks=1, num_groups=4),
            vocoder=Vocos.Config(width=16, hidden=16, num_layers=1),
            sampling=SamplingConfig(num_steps=4),
        ),
    )
