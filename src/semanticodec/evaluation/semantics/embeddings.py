"""Specifications of features, and what computes them: a system's, with `layers` as one option.

    model:layers=all|semantic|acoustic|continuous       and the other options of `model`
    codes:layers=semantic|acoustic                      how often every code occurs; options
                        as of `model`
    encodec:kbps=KBPS,layers=all|first                  dac:layers=all|first
    log-mel             mean over time of 128 log filter bank energies
    log-mel-stats       their mean and standard deviation

`semantic` is our codec's first layer. Features of one model share its computation:
`model:layers=all` and `model:layers=semantic` encode a clip once.
"""

from __future__ import annotations

from collections.abc import Sequence

from semanticodec.errors import ConfigError
from semanticodec.evaluation.semantics.code_histograms import CodeHistogramEmbedder
from semanticodec.evaluation.semantics.features import (
    Embedder,
    FeatureSpec,
    LogMelEmbedder,
    LogMelStatsEmbedder,
    ModelEmbedder,
)
from semanticodec.evaluation.semantics.peer_features import DacEmbedder, EncodecEmbedder
from semanticodec.evaluation.systems.specs import parse_spec, read_options

LAYERS_KEY = "layers"


KINDS: dict[str, type[Embedder]] = {
    "model": ModelEmbedder,
    "codes": CodeHistogramEmbedder,
    "encodec": EncodecEmbedder,
    "dac": DacEmbedder,
    "log-mel": LogMelEmbedder,
    "log-mel-stats": LogMelStatsEmbedder,
}


def parse_features(text: str) -> FeatureSpec:
    """Return the parts of a features' specification, checked.

    Raises:
        ConfigError: an unknown kind, option or layers.
    """
    given = parse_spec(text)
    kind = KINDS.get(given.kind)
    if kind is None:
        raise ConfigError(f"there are no features '{given.kind}'; choose from {', '.join(KINDS)}")
    layers, spec = given.options.get(LAYERS_KEY), given.without(LAYERS_KEY)
    read_options(spec, kind.Options)
    if layers is not None and layers not in kind.LAYERS:
        offered = ", ".join(kind.LAYERS) or f"none, so leave {LAYERS_KEY} out"
        raise ConfigError(f"'{spec.kind}' has no layers '{layers}'; it has {offered}")
    return FeatureSpec(spec=spec, layers=layers or next(iter(kind.LAYERS), ""))


def group_features(texts: Sequence[str]) -> list[list[FeatureSpec]]:
    """Return the parsed specifications, those of one model together.

    Raises:
        ConfigError: a specification that is not understood, or two rows of one name.
    """
    groups: dict[str, list[FeatureSpec]] = {}
    names: set[str] = set()
    for text in texts:
        parsed = parse_features(text)
        if parsed.name in names:
            raise ConfigError(
                f"two features are called '{parsed.name}'; tell them apart with name=LABEL"
            )
        names.add(parsed.name)
        groups.setdefault(str(parsed.spec), []).append(parsed)
    return list(groups.values())


def open_embedder(specs: Sequence[FeatureSpec], device: str = "cpu") -> Embedder:
    """Return what computes one group of `group_features`.

    Args:
        specs: specifications of one system.
        device: device of the models, such as `cpu` or `cuda`.
    Raises:
        CheckpointError: weights that are missing, damaged or of another model.
        ConfigError: a setting that the model does not have.
        MissingDependencyError: a package that is not installed.
    """
    return KINDS[specs[0].spec.kind](specs, device)
