"""Trains the models of an ablation, each in a run folder of its own, resumably.

OUT/<variant>_<rate>/     run folder of `semanticodec train codec`; export/ is the model
OUT/codebook_<rate>/      run folder of the clustering, where no codebook was given
OUT/cache_<rate>/         what the frozen modules make of the audio, shared by the variants
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from experiments.ablations import recipes as ablations
from semanticodec.checkpoints.pretrained import CONFIG_NAME, WEIGHTS_NAME
from semanticodec.checkpoints.trained_module import CODEBOOK, read_module
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.token_format import TokenGrid
from semanticodec.training.stages.codebook import CodebookRecipe
from semanticodec.training.stages.modules import SHARED_MODULES
from semanticodec.training.train import Recipe, RunOptions

# Of a run's last record, what tells how far training came.
CURVES = (
    "reconstruction",
    "v_near_noise",
    "v_near_noise_shuffled",
    "perplexity_moving",
    "share_of_codes_used",
    "semantic_perplexity",
    "num_used_semantic_codes",
)

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the variants are trained with.

    Attributes:
        out: folder of the ablation.
        data: training audio.
        modules: export folders of audiomae, vae and vocoder; of codebook where there is one.
        size: size of the base recipe, one of `recipes.SIZES`.
        steps: optimizer steps of every variant; None for the recipe's.
        device: to train on.
        num_threads: CPU threads; None leaves them as they are.
        show_progress: draw bars.
    Raises:
        ConfigError: another size, a module that is missing or unknown, or several processes.
    """

    out: Path
    data: tuple[Path, ...]
    modules: Mapping[str, Path] = field(default_factory=dict)
    size: str
    steps: int | None = None
    device: str = "cpu"
    num_threads: int | None = None
    show_progress: bool = False

    def __post_init__(self) -> None:
        if self.size not in ablations.SIZES:
            raise ConfigError(
                f"there is no recipe {self.size!r} for ablations; "
                f"choose one of {', '.join(ablations.SIZES)}"
            )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("ablations train and measure in one process; start without torchrun")
        missing = [name for name in SHARED_MODULES if name not in self.modules]
        unknown = [name for name in self.modules if name not in (*SHARED_MODULES, CODEBOOK)]
        if missing or unknown:
            raise ConfigError(
                f"the variants are built on the modules {', '.join(SHARED_MODULES)} (and on a "
                f"{CODEBOOK}, which is clustered where none is given); missing: "
                f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}; add "
                "--module NAME=RUN/export for each"
            )

    def describe(self) -> Json:
        """Return what all the variants have in common, without the folders' places."""
        return {
            "recipe": self.size,
            "data": [source.resolve().name for source in self.data],
            "modules": {name: _digest(folder) for name, folder in sorted(self.modules.items())},
        }

    def given_rate(self) -> int | None:
        """Return the token rate of the codebook module, None where there is none.

        Raises:
            CheckpointError: the module is no export of codebooks.
        """
        if CODEBOOK not in self.modules:
            return None
        config, _ = read_module(self.modules[CODEBOOK], CODEBOOK)
        return TokenGrid.from_stack_factor(config["stack_factor"]).token_rate

    def codebook(self, token_rate: int) -> Path:
        """Return the export of the codebooks for a token rate: the given one, or a new one."""
        if self.given_rate() == token_rate:
            return self.modules[CODEBOOK]
        recipe = ablations.clustering(self.size, token_rate)
        return self.clustered(recipe, self.out / f"codebook_{token_rate}")

    def clustered(self, recipe: CodebookRecipe, folder: Path) -> Path:
        """Return the export of a clustering, which runs unless the folder holds it."""
        export = folder / "export"
        if _recorded(export).get("recipe") != recipe.name:
            recipe.run(self._options(folder, {"audiomae": self.modules["audiomae"]}))
        return export

    def joined(self, folder: Path, token_rate: int, codebook: Path) -> Path:
        """Return a model folder of the given modules, its other parts untrained."""
        if not (folder / CONFIG_NAME).is_file():
            recipe = ablations.base(self.size, token_rate)
            torch.manual_seed(recipe.train.seed)
            modules = {**self.modules, CODEBOOK: codebook}
            recipe.stage.build(recipe.stage_config, modules).export(folder)
        return folder

    def trained(self, recipe: Recipe, folder: Path, codebook: Path) -> Json:
        """Train a variant into its folder, or what is left to train of it.

        Returns:
            What a reader should know of the training.
        Raises:
            KeyboardInterrupt: a signal stopped it; the same call resumes it.
        """
        options = self._options(folder, {**self.modules, CODEBOOK: codebook}, self.steps)
        complete = recipe.with_options(options)
        export = folder / "export"
        if not _is_finished(_recorded(export), complete):
            stage = recipe.stage_config
            if stage.cached_windows:
                rate = TokenGrid.from_stack_factor(stage.stack_factors[0]).token_rate
                _share_cache(folder, self.out / f"cache_{rate}")
            recipe.run(options)
        record = _recorded(export)
        if not _is_finished(record, complete):
            raise KeyboardInterrupt
        return {
            "recipe": recipe.name,
            "steps": record["steps_done"],
            "seconds": record["seconds"],
            **_last_values(folder / "scalars.jsonl"),
        }

    def _options(
        self, folder: Path, modules: Mapping[str, Path], steps: int | None = None
    ) -> RunOptions:
        return RunOptions(
            data=self.data,
            out=folder,
            modules=modules,
            steps=steps,
            device=self.device,
            num_threads=self.num_threads,
            show_progress=self.show_progress,
        )


def read_inertia(export: Path) -> dict[str, dict[str, float]]:
    """Return the mean squared distance to the centroids, by vocabulary size and domain."""
    return read_module(export, CODEBOOK)[0]["inertia"]


def _digest(folder: Path) -> str:
    weights = folder / WEIGHTS_NAME
    if not weights.is_file():
        raise CheckpointError(
            f"{folder} holds no {weights.name}; give the export folder of a finished run"
        )
    return hashlib.blake2b(weights.read_bytes(), digest_size=8).hexdigest()


def _recorded(export: Path) -> Json:
    """Return the record that a run leaves in its export; empty where there is none."""
    try:
        return json.loads((export / CONFIG_NAME).read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError):
        return {}


def _is_finished(record: Mapping[str, Any], recipe: Recipe) -> bool:
    # Through JSON, as the record went: tuples become lists.
    wanted = json.loads(json.dumps(recipe.describe()))
    is_same = all(record.get(key) == value for key, value in wanted.items())
    return is_same and record["steps_done"] >= recipe.train.steps


def _share_cache(folder: Path, shared: Path) -> None:
    """Let the run in `folder` keep its cached windows in a folder that others use too."""
    cache = folder / "cache"
    if cache.exists():
        return
    shared.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    cache.symlink_to(os.path.relpath(shared, folder), target_is_directory=True)


def _last_values(path: Path) -> dict[str, float]:
    """Return the last recorded values of the curves; a run of no steps has none."""
    if not path.is_file():
        return {}
    last: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        last.update({name: record[name] for name in CURVES if name in record})
    return last
