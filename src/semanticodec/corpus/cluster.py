"""Shards made on a Ray cluster by Ray Data: one actor with a model for each core or GPU.

What goes through Ray are places in the plan and lines of the journal; recordings are read, and
shards written, where the actors are, so all machines need the same paths. An actor or a machine
that dies costs its shards in flight, which others make again; their files are the same.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from semanticodec.corpus.journal import Failure, ShardDone
from semanticodec.corpus.plan import PLAN_NAME, ShardPlace
from semanticodec.corpus.threads import model_threads
from semanticodec.corpus.worker import ModelChoice, ShardMaker
from semanticodec.device import AUTO
from semanticodec.errors import ConfigError, MissingDependencyError, OutputError, SemantiCodecError
from semanticodec.files import output_errors

LOCAL = "local"
# Ray tries a shard again whose actor died, without end; a recording may be what kills it.
MOST_TRIES = 5
TRIES_NAME = ".tries"
# Nothing but names and checksums goes through it.
OBJECT_STORE_BYTES = 200_000_000
# Read when Ray is imported.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_LOG_LEVEL": "ERROR"}


@dataclass(frozen=True, kw_only=True)
class ClusterChoice:
    """Where to compute.

    Attributes:
        address: of a Ray cluster, "auto" for the one that this machine is part of, or "local" for
            one that is started on this machine and ends with the run.
        jobs: number of actors; None for one per core, or per GPU where there are any.
    """

    address: str
    jobs: int | None = None


class _Actor:
    """A worker's model; Ray makes one in each actor."""

    def __init__(self, model: ModelChoice, folder: str, formats: Sequence[str]) -> None:
        self._maker = ShardMaker(codec=model.load(), folder=Path(folder), formats=formats)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Make the shards of a batch; errors of the user come back in place of a result."""
        lines = []
        for text in batch["place"]:
            place = ShardPlace(*json.loads(text))
            try:
                _count_try(self._maker.folder, place.shard)
                with model_threads(1) as models:
                    done = asdict(self._maker.make(place, models))
            except SemantiCodecError as error:
                done = {"error": str(error), "is_output": isinstance(error, OutputError)}
            lines.append(json.dumps(done))
        return {"done": lines}


def run_on_cluster(
    model: ModelChoice,
    folder: Path,
    formats: Sequence[str],
    places: Sequence[ShardPlace],
    cluster: ClusterChoice,
) -> Iterator[ShardDone]:
    """Yield shards as they are finished.

    Args:
        model: what every actor loads.
        folder: output folder of the corpus, under one path on all machines.
        formats: names of the formats to write.
        places: shards to make.
        cluster: where to compute.
    Raises:
        SemantiCodecError: what a worker cannot go on after.
        ConfigError: no such cluster, or a shard whose actors died again and again.
    """
    shutil.rmtree(folder / TRIES_NAME, ignore_errors=True)
    with _connected(cluster) as ray:
        data, resources = ray.data, ray.cluster_resources()
        kind = "GPU" if _wants_gpus(model, resources) else "CPU"
        model = replace(model, device="cuda" if kind == "GPU" else "cpu")
        dataset = data.from_items(
            [{"place": json.dumps(place)} for place in places],
            # A shard to a block: what is finished is heard of at once.
            override_num_blocks=len(places),
        )
        results = dataset.map_batches(
            _Actor,
            fn_constructor_args=(model, str(folder.resolve()), tuple(formats)),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=cluster.jobs or int(resources.get(kind, 1)) or 1),
            num_cpus=1 if kind == "CPU" else 0,
            num_gpus=1 if kind == "GPU" else None,
        )
        for row in results.iter_rows():
            yield _done(json.loads(row["done"]))
    shutil.rmtree(folder / TRIES_NAME, ignore_errors=True)


def _wants_gpus(model: ModelChoice, resources: Mapping[str, float]) -> bool:
    if model.device == AUTO:
        return resources.get("GPU", 0) >= 1
    return model.device.startswith("cuda")


def _count_try(folder: Path, shard: str) -> None:
    path = folder / TRIES_NAME / shard
    tries = path.stat().st_size if path.exists() else 0
    if tries == MOST_TRIES:
        raise ConfigError(
            f"{tries} workers died over the shard {shard}, one after the other; give workers more "
            f"memory, or look in {PLAN_NAME} for a recording that kills them"
        )
    with output_errors(path):
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b".")


def _done(values: dict[str, Any]) -> ShardDone:
    if "error" in values:
        raise (OutputError if values["is_output"] else ConfigError)(values["error"])
    failures = [Failure(**failure) for failure in values.pop("failures")]
    return ShardDone(**values, failures=failures)


@contextmanager
def _connected(cluster: ClusterChoice) -> Iterator[Any]:
    """Give Ray with a connection to a cluster."""
    os.environ.update(QUIET)
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise MissingDependencyError(
            "clusters need Ray; pip install 'semanticodec[corpus]'"
        ) from error
    is_local = cluster.address == LOCAL
    own: dict[str, Any] = {}
    if is_local:
        own = {
            "num_cpus": cluster.jobs,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {cluster.address!r} ({error}); give host:port, auto, or "
            "local"
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise ConfigError(
            f"the cluster gave up ({_first_line(error)}); the same command goes on from the last "
            "finished shard"
        ) from error
    finally:
        ray.shutdown()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
