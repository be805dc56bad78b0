"""Specifications of features, and what computes them: a system's, with `layers` as one option.

    model:layers=all|semantic|acoustic|continuous       and the other options of `model`
    encodec:kbps=KBPS,layers=all|first                  dac:layers=all|first
    log-mel             mean over time of 128 log filter bank energies
    log-mel-stats       their mean and standard deviation

`semantic` is our codec's first layer. Features of one model share its computation:
`model:layers=all` and `model:layers=semantic` encode a clip once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from semanticodec.errors import ConfigError
from semanticodec.evaluation.semantics.features import (
    MEAN,
    MEAN_AND_DEVIATION,
    Embedder,
    FeatureSpec,
    LogMelEmbedder,
    ModelEmbedder,
)
from semanticodec.evaluation.semantics.hear import LAYERS
from semanticodec.evaluation.semantics.peer_features import (
    PEER_LAYERS,
    DacEmbedder,
    EncodecEmbedder,
)
from semanticodec.evaluation.systems.model import Model
from semanticodec.evaluation.systems.peers import Dac, Encodec
from semanticodec.evaluation.systems.specs import (
    SystemOptions,
    current_form,
    parse_spec,
    read_options,
)

LAYERS_KEY = "layers"


@dataclass(frozen=True, kw_only=True)
class FeatureKind:
    """One kind of features.

    Attributes:
        open: returns the embedder of a group of specifications on a device.
        options: what a specification may hold besides layers.
        layers: to choose from, the first by default; empty if there are none.
    """

    open: Callable[[Sequence[FeatureSpec], str], Embedder]
    options: type[SystemOptions] = SystemOptions
    layers: tuple[str, ...] = ()


KINDS: dict[str, FeatureKind] = {
    "model": FeatureKind(
        open=lambda specs, device: ModelEmbedder(Model(specs[0].spec, device), specs),
        options=Model.Options,
        layers=LAYERS,
    ),
    "encodec": FeatureKind(
        open=lambda specs, device: EncodecEmbedder(Encodec(specs[0].spec, device), specs),
        options=Encodec.Options,
        layers=PEER_LAYERS,
    ),
    "dac": FeatureKind(
        open=lambda specs, device: DacEmbedder(Dac(specs[0].spec, device), specs),
        options=Dac.Options,
        layers=PEER_LAYERS,
    ),
    "log-mel": FeatureKind(open=lambda specs, _: LogMelEmbedder(specs[0], MEAN)),
    "log-mel-stats": FeatureKind(
        open=lambda specs, _: LogMelEmbedder(specs[0], MEAN_AND_DEVIATION)
    ),
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
    read_options(spec, kind.options)
    if layers is not None and layers not in kind.layers:
        offered = ", ".join(kind.layers) or f"none, so leave {LAYERS_KEY} out"
        raise ConfigError(f"'{spec.kind}' has no layers '{layers}'; it has {offered}")
    return FeatureSpec(spec=spec, layers=layers or next(iter(kind.layers), ""))


def current_form_of_features(text: str) -> str:
    """Return a specification as it is written now: `model:layers=all` for `model:all`."""
    head, colon, layers = text.strip().rpartition(":")
    # In a path the colon of a drive (C:\\model) is followed by more of the path.
    if not colon or set(layers) & set("/\\,="):
        return current_form(text)
    head = current_form(head)
    return f"{head}{',' if ':' in head else ':'}{LAYERS_KEY}={layers}"


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
        specs: of one system.
        device: where models compute, such as `cpu` or `cuda`.
    Raises:
        CheckpointError: weights that are missing, damaged or of another model.
        ConfigError: a setting that the model does not have.
        MissingDependencyError: a package that is not installed.
    """
    return KINDS[specs[0].spec.kind].open(specs, device)
