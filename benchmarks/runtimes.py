"""Compare torch with torch.compile and onnxruntime, module by module: seconds and start.

    python -m benchmarks.runtimes                             the built-in model: about 3 minutes
    python -m benchmarks.runtimes unet --dtype bfloat16
    python -m benchmarks.runtimes unet --official --only onnx

One thread; the runtimes take turns and the best CPU time of each counts (see fast_paths.py). The
start is CPU time too, compilers included, with torch.compile's caches off.
"""

import argparse
import os
import sys
from collections.abc import Callable

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch
from torch import nn

from benchmarks.fast_paths import cpu_seconds, random_weights
from semanticodec import SemantiCodec
from semanticodec.decoder.decoder import Decoder
from semanticodec.runtimes.onnx_export import graph_bytes
from semanticodec.runtimes.onnx_graphs import Graph, decoder_graphs
from semanticodec.runtimes.onnx_session import open_session, run_session
from semanticodec.token_format import TokenGrid

MODULES = ("unet", "vae", "vocoder")
RUNTIMES = ("compiled", "onnx")


def modules_of(decoder: Decoder, graphs: dict[str, Graph], dtype: torch.dtype) -> dict[str, tuple]:
    """Return every module and its inputs: one window, no guidance."""
    decoder.to(dtype)
    width = decoder.condition.config.context_width
    num_positions = graphs["unet"].inputs["keys_0"].shape[2]
    latent, timestep = (graphs["unet"].inputs[name] for name in ("latent", "timestep"))
    with torch.inference_mode():
        context = decoder.unet.prepare_context(torch.randn(1, num_positions, width))
    return {
        "unet": (decoder.unet, (latent, timestep, context)),
        "vae": (decoder.vae, (latent.to(dtype),)),
        "vocoder": (decoder.vocoder, (graphs["vocoder"].inputs["mel"].to(dtype),)),
    }


def started(runtime: str, module: nn.Module, inputs: tuple, graph: Graph) -> Callable[[], object]:
    """Return a call of the module in a runtime, after its first."""
    if runtime == "onnx":
        session = open_session(graph_bytes(graph))
        return lambda: run_session(session, graph.inputs)
    compiled = torch.compile(module)
    compiled(*inputs)
    return lambda: compiled(*inputs)


def process_seconds() -> float:
    """Return the CPU time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def compare(
    name: str, module: nn.Module, inputs: tuple, graph: Graph, args: argparse.Namespace
) -> None:
    """Print a line per runtime."""
    calls: dict[str, Callable[[], object]] = {"torch": lambda: module(*inputs)}
    starts = {"torch": 0.0}
    for runtime in args.only:
        before = process_seconds()
        calls[runtime] = started(runtime, module, inputs, graph)
        starts[runtime] = process_seconds() - before
    times: dict[str, list[float]] = {runtime: [] for runtime in calls}
    for _ in range(args.repeats):
        for runtime, call in calls.items():
            times[runtime].append(cpu_seconds(call))
    for runtime, seconds in times.items():
        gain = min(times["torch"]) / min(seconds)
        line = f"{name:8} {runtime:9} {min(seconds):8.4f} {gain:6.2f} {starts[runtime]:8.1f}\n"
        sys.stdout.write(line)
        sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "modules",
        nargs="*",
        default=MODULES,
        metavar="MODULE",
        help=f"modules to compare: {', '.join(MODULES)} (default: all of them)",
    )
    parser.add_argument(
        "--official", action="store_true", help="use the official sizes with random weights"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision of the modules (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=RUNTIMES,
        default=RUNTIMES,
        help="runtimes to compare with torch (default: all of them)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=5,
        metavar="N",
        help="number of runs of each module and runtime (default: %(default)s)",
    )
    args = parser.parse_args()
    if args.dtype != "float32":
        args.only = [runtime for runtime in args.only if runtime != "onnx"]
    torch.set_num_threads(1)
    if args.official:
        decoder, stack_factor = random_weights(Decoder(Decoder.Config())), 1
    else:
        codec = SemantiCodec.from_pretrained()
        decoder, stack_factor = codec.decoder, codec.config.encoder.stack_factor
    assert isinstance(decoder, Decoder)
    graphs = decoder_graphs(decoder, TokenGrid.from_stack_factor(stack_factor).positions_per_window)
    modules = modules_of(decoder, graphs, getattr(torch, args.dtype))
    sys.stdout.write(f"{'module':8} {'runtime':9} {'best s':>8} {'gain':>6} {'start s':>8}\n")
    with torch.inference_mode():
        for name in args.modules:
            module, inputs = modules[name]
            compare(name, module, inputs, graphs[name], args)


if __name__ == "__main__":
    main()
