"""Compare the modules' fast code paths with torch's own, at official size with random weights.

    python -m benchmarks.fast_paths                    all: about 3 minutes, 2 GB
    python -m benchmarks.fast_paths tunet vae --dtype bfloat16 --repeats 9

Both take turns in one process with one thread, and the best CPU time of each counts, so that
other work on the machine disturbs the ratio little. "torch" is the same code with oneDNN's
products, and with them what depends on them, switched off.
"""

import argparse
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEConfig, VAEDecoder
from semanticodec.decoder.vocos import Vocos
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.nearest import NearestSearch
from semanticodec.runtimes.onednn import use_onednn
from semanticodec.runtimes.onednn.products import linear

LSTM_WIDTH, LSTM_HIDDEN, POSITIONS = 3072, 1536, 512  # a layer at 100 tokens per second


def random_weights(module: nn.Module) -> nn.Module:
    """Give every matrix the scale of a trained one; zeros would make products with them cheap."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5)
    return use_onednn(module.eval().requires_grad_(False))


def tunet(dtype: torch.dtype) -> Callable[[], Tensor]:
    """One step with guidance: two items, the context prepared."""
    network = random_weights(TUNet(TUNet.Config())).to(dtype)
    assert isinstance(network, TUNet)
    context = network.prepare_context(torch.randn(2, POSITIONS, 1728))
    latent, timestep = torch.randn(2, 8, 256, 16), torch.full((2,), 500)
    return lambda: network(latent, timestep, context)


def audiomae() -> Callable[[], Tensor]:
    """One window."""
    network, fbank = random_weights(AudioMAE(AudioMAE.Config())), torch.randn(1, 1024, 128)
    return lambda: network(fbank)


def lstm(num_windows: int) -> Callable[[], Tensor]:
    """One layer, both directions."""
    network = random_weights(nn.LSTM(LSTM_WIDTH, LSTM_HIDDEN, batch_first=True, bidirectional=True))
    features = torch.randn(num_windows, POSITIONS, LSTM_WIDTH)
    return lambda: network(features)[0]


def nearest() -> Callable[[], Tensor]:
    """The largest semantic vocabulary, one window."""
    codebook, features = torch.randn(32768, 768), torch.randn(1, POSITIONS, 768)
    search = use_onednn(NearestSearch())
    return lambda: search(features, codebook)


def vae(dtype: torch.dtype) -> Callable[[], Tensor]:
    """One window."""
    network = random_weights(VAEDecoder(VAEConfig())).to(dtype)
    latent = torch.randn(1, 8, 256, 16).to(dtype)
    return lambda: network(latent)


def vocoder(network: nn.Module, dtype: torch.dtype) -> Callable[[], Tensor]:
    """One window."""
    random_weights(network).to(dtype)
    mel = torch.randn(1, 1024, 64).to(dtype)
    return lambda: network(mel)


# The encoder is float32 always: codes must not depend on the precision of the decoder.
ENCODER: dict[str, Callable[[], Callable[[], Tensor]]] = {
    "audiomae": audiomae,
    "lstm-1": lambda: lstm(1),
    "lstm-8": lambda: lstm(8),
    "nearest": nearest,
}
DECODER: dict[str, Callable[[torch.dtype], Callable[[], Tensor]]] = {
    "tunet": tunet,
    "vae": vae,
    "hifigan": lambda dtype: vocoder(HiFiGAN(HiFiGAN.Config()), dtype),
    "vocos": lambda dtype: vocoder(Vocos(Vocos.Config()), dtype),
}


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of this thread for one call."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def torch_only(run: Callable[[], object]) -> object:
    """Call with oneDNN's products switched off."""
    with patch("semanticodec.runtimes.onednn.products._product", lambda _: None):
        return run()


def flops(name: str, run: Callable[[], object]) -> float:
    """Return the floating-point operations of one call by torch's code path."""
    if name.startswith("lstm"):  # torch does not count an LSTM
        num_windows = int(name.removeprefix("lstm-"))
        return 2 * num_windows * POSITIONS * 2 * 4 * LSTM_HIDDEN * (LSTM_WIDTH + LSTM_HIDDEN)
    # Nor does it see into its fused attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch_only(run)
    return counter.get_total_flops()


def peaks(dtype: torch.dtype) -> str:
    """Return what this core reaches right now, to compare the modules with."""
    inputs, weight = torch.randn(2, 1024, 1024).to(dtype)
    features = torch.randn(2, 64, 256, 16).to(dtype, memory_format=torch.channels_last)
    kernel = torch.randn(64, 64, 3, 3).to(dtype)
    calls = {
        "torch's product": (2 * 1024**3, lambda: torch_only(lambda: linear(inputs, weight))),
        "oneDNN's product": (2 * 1024**3, lambda: linear(inputs, weight)),
        "3 × 3 convolution": (
            2 * features.numel() * 64 * 9,
            lambda: torch.nn.functional.conv2d(features, kernel, padding=1),
        ),
    }
    speeds = {
        name: count / min(cpu_seconds(run) for _ in range(10))
        for name, (count, run) in calls.items()
    }
    return " · ".join(f"{name} {speed / 1e9:.0f} GFLOP/s" for name, speed in speeds.items())


def compare(name: str, dtype: torch.dtype, repeats: int) -> str:
    """Return a line of the table."""
    run = ENCODER[name]() if name in ENCODER else DECODER[name](dtype)
    torch_times, fast_times = [], []
    for _ in range(repeats):
        torch_times.append(cpu_seconds(lambda: torch_only(run)))
        fast_times.append(cpu_seconds(run))
    slow, fast = min(torch_times), min(fast_times)
    speed = flops(name, run) / fast / 1e9
    return f"{name:10} {slow:9.3f} {fast:9.3f} {slow / fast:7.2f} {speed:9.0f}\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE",
        help=f"modules to compare: {', '.join([*ENCODER, *DECODER])} (default: all of them)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision of the modules (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        metavar="N",
        help="number of runs of each code path (default: %(default)s)",
    )
    args = parser.parse_args()
    dtype = getattr(torch, args.dtype)
    choices = [*DECODER] if dtype == torch.bfloat16 else [*ENCODER, *DECODER]
    unknown = set(args.modules) - set(choices)
    if unknown:
        parser.error(
            f"no module {', '.join(sorted(unknown))} in {args.dtype}; "
            f"choose from {', '.join(choices)}"
        )
    torch.set_num_threads(1)
    with torch.inference_mode():
        sys.stdout.write(
            f"{peaks(dtype)}\n{'module':10} {'torch s':>9} {'fast s':>9} {'ratio':>7} "
        )
        sys.stdout.write(f"{'GFLOP/s':>9}\n")
        for name in args.modules or choices:
            sys.stdout.write(compare(name, dtype, args.repeats))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
