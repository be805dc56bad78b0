"""Specifications of features, and what computes them: a system's, then `:LAYERS`.

    model[=FOLDER or Hub id][,rate=50][,vocab=8192]:all|semantic|acoustic|continuous
    encodec@KBPS[,path=FOLDER]:all|first        dac[@BOOKS][,path=FOLDER]:all|first
    log-mel             mean over time of 128 log filter bank energies
    log-mel-stats       their mean and deviation

`semantic` is our codec's first layer. Features of one model share its computation: `model:all` and
`model:semantic` encode a clip once.
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
from semanticodec.evaluation.systems.base import NAME_OPTION, Spec, parse_spec
from semanticodec.evaluation.systems.model import KINDS as MODEL_KINDS
from semanticodec.evaluation.systems.model import Model
from semanticodec.evaluation.systems.peers import KINDS as PEER_KINDS
from semanticodec.evaluation.systems.peers import Dac, Encodec


@dataclass(frozen=True, kw_only=True)
class FeatureKind:
    """One kind of features.

    Attributes:
        open: returns the embedder of a group of specifications on a device.
        check: raises a ConfigError for a specification that such a system does not take.
        layers: to choose from, the first by default; empty if there are none.
    """

    open: Callable[[Sequence[FeatureSpec], str], Embedder]
    check: Callable[[Spec], None]
    layers: tuple[str, ...] = ()


def _check_plain(spec: Spec) -> None:
    if spec.setting is not None or spec.value is not None or set(spec.options) - {NAME_OPTION}:
        raise ConfigError(f"the features '{spec}' take no settings; write {spec.kind}")


KINDS: dict[str, FeatureKind] = {
    "model": FeatureKind(
        open=lambda specs, device: ModelEmbedder(Model(specs[0].spec, device), specs),
        check=MODEL_KINDS["model"].check,
        layers=LAYERS,
    ),
    "encodec": FeatureKind(
        open=lambda specs, device: EncodecEmbedder(Encodec(specs[0].spec, device), specs),
        check=PEER_KINDS["encodec"].check,
        layers=PEER_LAYERS,
    ),
    "dac": FeatureKind(
        open=lambda specs, device: DacEmbedder(Dac(specs[0].spec, device), specs),
        check=PEER_KINDS["dac"].check,
        layers=PEER_LAYERS,
    ),
    "log-mel": FeatureKind(
        open=lambda specs, _: LogMelEmbedder(specs[0], MEAN), check=_check_plain
    ),
    "log-mel-stats": FeatureKind(
        open=lambda specs, _: LogMelEmbedder(specs[0], MEAN_AND_DEVIATION), check=_check_plain
    ),
}


def parse_features(text: str) -> FeatureSpec:
    """Return the parts of a features' specification, checked.

    Raises:
        ConfigError: an unknown kind, option or layers.
    """
    head, colon, layers = text.strip().rpartition(":")
    # In a path the colon of a drive (C:\model) is followed by more of the path.
    if not colon or set(layers) & set("/\\,="):
        head, layers = text.strip(), ""
    spec = parse_spec(head)
    kind = KINDS.get(spec.kind)
    if kind is None:
        raise ConfigError(f"there are no features '{spec.kind}'; choose from {', '.join(KINDS)}")
    kind.check(spec)
    if layers and layers not in kind.layers:
        offered = ", ".join(kind.layers) or "none, so write no colon"
        raise ConfigError(f"'{spec.kind}' has no layers '{layers}'; it has {offered}")
    return FeatureSpec(spec=spec, layers=layers or next(iter(kind.layers), ""))


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
                f"two features are called '{parsed.name}'; tell them apart with ,name=LABEL"
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
