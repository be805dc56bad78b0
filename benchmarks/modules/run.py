"""The whole benchmark: peaks of the machine, single modules, and encode and decode end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.modules import official
from benchmarks.modules.flops import FlopCount
from benchmarks.modules.inputs import WHOLES, Inputs, positions, work_of
from benchmarks.modules.peaks import GIGA, highest, measure_peaks
from benchmarks.modules.settings import TITLES, Settings
from semanticodec.benchmark.clock import Timing, measure
from semanticodec.benchmark.memory import PeakMemory
from semanticodec.benchmark.modules import ENCODE, MODULES, REST, SAMPLER
from semanticodec.benchmark.stages import STAGES, explained, measure_stage, stage_work
from semanticodec.codec import SemantiCodec
from semanticodec.decoder.noise import seeded_noise
from semanticodec.provenance import provenance

Report = dict[str, Any]
ENCODER_DTYPE = "float32"  # codes never depend on the precision that the decoder works in


def run_modules(
    codec: SemantiCodec, settings: Settings, progress: Callable[[str], object] = lambda what: None
) -> Report:
    """Return what was measured, as JSON-ready values.

    Args:
        codec: codec whose measured modules have weights, on the settings' device and in their
            dtype.
        settings: what to measure.
        progress: called with what is measured next.
    Raises:
        ConfigError: the machine cannot compute in this precision, or lacks the memory.
    """
    bench = _Bench(codec, settings)
    with torch.inference_mode():
        for dtype in dict.fromkeys((ENCODER_DTYPE, settings.dtype)):
            progress(f"the machine in {dtype}")
            bench.measure_peaks(dtype)
        rows = []
        for name in [name for name in TITLES if name in settings.modules]:
            progress(TITLES[name])
            rows.append(bench.row(name))
    return {
        **provenance(),
        "settings": bench.described_settings(),
        "peaks": bench.peaks,
        "memory_is": PeakMemory(bench.device).meaning,
        "modules": rows,
        "official": bench.compared(rows),
    }


class _Bench:
    def __init__(self, codec: SemantiCodec, settings: Settings) -> None:
        self.codec, self.settings = codec, settings
        self.device = torch.device(settings.device)
        self.sampling = codec.sampling(**settings.runs.decode_options)
        self.flops = FlopCount(codec.config)
        self.peaks: dict[str, list[dict[str, Any]]] = {}

    def measure_peaks(self, dtype: str) -> None:
        with self._explained("the products that it is compared with"):
            self.peaks[dtype] = measure_peaks(
                self.device, getattr(torch, dtype), self.settings.runs.num_runs
            )

    def row(self, name: str) -> dict[str, Any]:
        with self._explained(TITLES[name]):
            return self._whole(name) if name in WHOLES else self._single(name)

    def _explained(self, what: str) -> Any:
        return explained(what, self.settings.device, self.settings.dtype)

    def _single(self, name: str) -> dict[str, Any]:
        is_pair = name == "unet" and self.sampling.guidance_scale != 1
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(self.device)

        inputs = Inputs(
            codec=self.codec,
            random=random,
            num_items=2 if is_pair else 1,
            num_positions=positions(self.codec),
        )
        memory = PeakMemory(self.device)
        timing = measure(work_of(name, inputs), self.settings.runs.num_runs, self.device)
        flops = inputs.num_items * self.flops.of_window(name)
        dtype = ENCODER_DTYPE if MODULES[name].is_encoder else self.settings.dtype
        row = self._numbers(timing, flops, memory, dtype)
        return {"name": name, "title": TITLES[name], "windows": inputs.num_items, **row}

    def _whole(self, name: str) -> dict[str, Any]:
        memory, runs = PeakMemory(self.device), self.settings.runs
        is_sampler = name == SAMPLER
        work = self._sampler() if is_sampler else stage_work(name, self.codec, runs)
        watched = WHOLES[SAMPLER] if is_sampler else STAGES[name]
        rest = SAMPLER if is_sampler else REST
        whole = measure_stage(work, watched, self.codec, self.device, runs.num_runs, rest)
        shapes = whole.clock.shapes
        flops = sum(
            self.flops.of_call(part, shape) for part in WHOLES[name] for shape in shapes[part]
        )
        dtype = ENCODER_DTYPE if name == ENCODE else self.settings.dtype
        row = {
            "name": name,
            "title": TITLES[name],
            **self._numbers(whole.timing, flops, memory, dtype),
            "shares": whole.shares,
            "calls": {part: len(shapes[part]) for part in WHOLES[name]},
            "windows": {part: sum(shape[0] for shape in shapes[part]) for part in WHOLES[name]},
        }
        if not is_sampler:
            row["audio_seconds"] = runs.seconds
            row["times_real_time"] = runs.seconds / whole.timing.median
        return row

    def _sampler(self) -> Callable[[], Any]:
        codec, decoder = self.codec, self.codec.decoder
        features = torch.randn(1, positions(codec), codec.config.encoder.width).to(self.device)
        context = decoder.condition(features, features, positions(codec))
        shape = (1, *codec.config.decoder.latent_shape)
        noise = seeded_noise(0, shape)
        return lambda: decoder.sample(context, partial(noise, 0), self.sampling)

    def _numbers(
        self, timing: Timing, flops: int, memory: PeakMemory, dtype: str
    ) -> dict[str, Any]:
        gflop = flops / GIGA
        gflops = gflop / timing.median
        return {
            "dtype": dtype,
            **timing.to_dict(),
            "gflop": gflop,
            "gflops": gflops,
            "share_of_peak": gflops / highest(self.peaks[dtype]),
            "peak_memory_mb": memory.megabytes(),
        }

    def described_settings(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        runs = settings.pop("runs")
        del runs["decode_options"]
        return {
            **settings,
            **runs,
            "modules": list(self.settings.modules),
            "threads": torch.get_num_threads(),
            "token_rate": self.codec.token_rate,
            "semantic_vocab_size": self.codec.semantic_vocab_size,
            "sampling": asdict(self.sampling),
        }

    def compared(self, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        decodes = [row for row in rows if row["name"] == "decode"]
        if not (self.settings.is_official_size and decodes and self.codec.token_rate == 100):
            return None
        peaks = self.peaks[ENCODER_DTYPE] if self.device.type == "cpu" else None
        (decode,) = decodes
        return official.compare(decode["seconds"]["median"], decode["windows"]["vae"], peaks)
