"""The plain benchmark: encode and decode, with the seconds of every module in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from semanticodec.benchmark.memory import PeakMemory
from semanticodec.benchmark.modules import MODULES, REST
from semanticodec.benchmark.stages import (
    STAGES,
    Runs,
    StageTiming,
    explained,
    measure_stage,
    stage_work,
)
from semanticodec.codec import SemantiCodec
from semanticodec.provenance import provenance

Report = dict[str, Any]


def run_benchmark(
    codec: SemantiCodec,
    runs: Runs,
    described: dict[str, Any],
    progress: Callable[[str], object] = lambda stage: None,
) -> Report:
    """Return what was measured, as JSON-ready values.

    Args:
        codec: model on the device and in the precision to measure.
        runs: runs to measure, and how often.
        described: description of the model in reports: `model`, `device`, `dtype` and `runtime`.
        progress: called after every run with the name of its stage.
    Raises:
        ConfigError: the machine cannot compute in this precision, or lacks the memory.
    """
    stages = []
    for name in STAGES:
        memory = PeakMemory(codec.device)
        with explained(name, described["device"], described["dtype"]):
            work = stage_work(name, codec, runs)
            told = partial(progress, name)
            stage = measure_stage(
                work, STAGES[name], codec, codec.device, runs.num_runs, after_run=told
            )
        stages.append({"name": name, **_row(stage, runs), "peak_memory_mb": memory.megabytes()})
    return {
        **provenance(),
        "settings": {
            **described,
            "num_runs": runs.num_runs,
            "seconds": runs.seconds,
            "batch_size": runs.batch_size,
            "threads": torch.get_num_threads(),
            "token_rate": codec.token_rate,
            "semantic_vocab_size": codec.semantic_vocab_size,
            "sampling": asdict(codec.sampling(**runs.decode_options)),
        },
        "memory_is": PeakMemory(codec.device).meaning,
        "stages": stages,
    }


def _row(stage: StageTiming, runs: Runs) -> dict[str, Any]:
    modules = [
        {
            "name": name,
            "title": MODULES[name].title if name in MODULES else "everything else",
            "seconds": seconds,
            "share": seconds / sum(stage.shares.values()),
            "times_real_time": runs.seconds / seconds if seconds else None,
            "calls": len(stage.clock.shapes[name]) if name != REST else None,
        }
        for name, seconds in stage.shares.items()
    ]
    return {
        "audio_seconds": runs.seconds,
        **stage.timing.to_dict(),
        "times_real_time": runs.seconds / stage.timing.median,
        "modules": modules,
    }


def text_report(report: Report) -> str:
    """Return the report for a terminal."""
    settings, machine = report["settings"], report["machine"]
    sampling = settings["sampling"]
    where = machine.get("accelerator") if settings["device"] != "cpu" else None
    head = (
        f"{settings['model']} ({settings['token_rate']} tokens per second) on "
        f"{where or machine['processor']}, threads: {settings['threads']} of {machine['cores']} "
        f"cores, {settings['dtype']} after the codes, runtime {settings['runtime']}, "
        f"torch {report['versions']['torch']}; sampler {sampling['sampler']}, "
        f"{sampling['num_steps']} steps, guidance {sampling['guidance_scale']:g}; "
        f"median of {settings['num_runs']} runs; {report['date']}"
    )
    line = f"{'':42}{'seconds':>10}{'× real time':>14}{'share':>9}{'calls':>8}{'memory MB':>12}"
    return "\n".join([head, "", line, *_lines(report)])


def _lines(report: Report) -> Iterator[str]:
    for stage in report["stages"]:
        title = f"{stage['name']} {stage['audio_seconds']:g} s"
        yield (
            f"{title:42}{stage['seconds']['median']:>10.4g}{stage['times_real_time']:>14.4g}"
            f"{'100 %':>9}{'':8}{stage['peak_memory_mb']:>12.0f}"
        )
        for module in stage["modules"]:
            title, speed, calls = (module[key] for key in ("title", "times_real_time", "calls"))
            yield (
                f"  {title:40}{module['seconds']:>10.4g}{speed or 0:>14.4g}"
                f"{module['share']:>8.1%} {calls or '':>7}"
            ).rstrip()
