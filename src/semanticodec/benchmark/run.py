"""The whole benchmark: peaks of the machine, single boxes, and encode and decode end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from semanticodec.benchmark import official
from semanticodec.benchmark.boxes import SINGLE_BOXES, WHOLES, Inputs, positions, work_of
from semanticodec.benchmark.clock import Timing, measure
from semanticodec.benchmark.flops import FlopCount
from semanticodec.benchmark.memory import PeakMemory
from semanticodec.benchmark.peaks import GIGA, highest, measure_peaks
from semanticodec.benchmark.settings import BOXES, Settings
from semanticodec.benchmark.wholes import measure_whole
from semanticodec.codec import SemantiCodec
from semanticodec.errors import ConfigError
from semanticodec.provenance import provenance

Report = dict[str, Any]
ENCODER_DTYPE = "float32"  # codes never depend on the precision that the decoder works in


def run_benchmark(
    codec: SemantiCodec, settings: Settings, progress: Callable[[str], object] = lambda what: None
) -> Report:
    """Return what was measured, as JSON-ready values.

    Args:
        codec: the boxes that are measured have weights, on the settings' device and in their
            dtype.
        settings: what to measure.
        progress: told what is measured next.
    Raises:
        ConfigError: the machine cannot compute in this precision, or lacks the memory.
    """
    bench = _Bench(codec, settings)
    with torch.inference_mode():
        for dtype in dict.fromkeys((ENCODER_DTYPE, settings.dtype)):
            progress(f"the machine in {dtype}")
            bench.measure_peaks(dtype)
        rows = []
        for name in [name for name in BOXES if name in settings.boxes]:
            progress(BOXES[name])
            rows.append(bench.row(name))
    return {
        **provenance(),
        "settings": bench.described_settings(),
        "peaks": bench.peaks,
        "memory_is": PeakMemory(bench.device).meaning,
        "boxes": rows,
        "official": bench.compared(rows),
    }


class _Bench:
    def __init__(self, codec: SemantiCodec, settings: Settings) -> None:
        self.codec, self.settings = codec, settings
        self.device = torch.device(settings.device)
        self.sampling = codec.sampling(**settings.decode_options)
        self.flops = FlopCount(codec.config)
        self.peaks: dict[str, list[dict[str, Any]]] = {}

    def measure_peaks(self, dtype: str) -> None:
        work = partial(measure_peaks, self.device, getattr(torch, dtype), self.settings.num_runs)
        self.peaks[dtype] = self._tried("the products that it is compared with", work)

    def row(self, name: str) -> dict[str, Any]:
        return self._tried(
            BOXES[name], partial(self._whole if name in WHOLES else self._single, name)
        )

    def _tried(self, what: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"{what}: {self.settings.device} has too little memory; measure fewer --boxes"
            ) from error
        except RuntimeError as error:
            if "not implemented for" not in str(error):
                raise
            raise ConfigError(
                f"{what}: {self.settings.device} does not compute in {self.settings.dtype} "
                f"({error}); choose another --dtype"
            ) from error

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
        timing = measure(work_of(name, inputs), self.settings.num_runs, self.device)
        flops = inputs.num_items * self.flops.of_window(name)
        dtype = ENCODER_DTYPE if SINGLE_BOXES[name].is_encoder else self.settings.dtype
        row = self._figures(timing, flops, memory, dtype)
        return {"name": name, "title": BOXES[name], "windows": inputs.num_items, **row}

    def _whole(self, name: str) -> dict[str, Any]:
        memory = PeakMemory(self.device)
        whole = measure_whole(name, self.codec, self.settings)
        shapes = whole.clock.shapes
        flops = sum(self.flops.of_call(box, shape) for box in WHOLES[name] for shape in shapes[box])
        dtype = ENCODER_DTYPE if name == "encode" else self.settings.dtype
        row = {
            "name": name,
            "title": BOXES[name],
            **self._figures(whole.timing, flops, memory, dtype),
            "shares": whole.shares,
            "calls": {box: len(shapes[box]) for box in WHOLES[name]},
            "windows": {box: sum(shape[0] for shape in shapes[box]) for box in WHOLES[name]},
        }
        if name != "sampler":
            row["audio_seconds"] = self.settings.seconds
            row["times_real_time"] = self.settings.seconds / whole.timing.median
        return row

    def _figures(
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
        settings = {**asdict(self.settings), "boxes": list(self.settings.boxes)}
        del settings["decode_options"]
        return {
            **settings,
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
