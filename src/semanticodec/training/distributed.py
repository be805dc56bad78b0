"""Several processes through torchrun: gradients and statistics are summed by hand.

Without torchrun every function works on the one process alone.
"""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from semanticodec.device import checked_device
from semanticodec.layers.processes import sum_over_processes, world_size
from semanticodec.training.data import Rank

BUCKET_ELEMENTS = 8_000_000


def start(device: torch.device) -> Rank:
    """Join the process group that torchrun describes in the environment, if it does.

    Returns:
        This process's rank and the number of processes.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Rank()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Rank(index=dist.get_rank(), world_size=dist.get_world_size())


def stop() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def local_device(name: str) -> torch.device:
    """Return the device of this process: `cuda` means the torchrun local rank's GPU.

    Args:
        name: name of a device, or `auto`, as everywhere (see `checked_device`).
    Raises:
        ConfigError: there is no such device.
    """
    device = torch.device(checked_device(name))
    if device.type != "cuda":
        return device
    if device.index is None:
        device = torch.device(checked_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}"))
    torch.cuda.set_device(device)
    return device


def is_main() -> bool:
    """Say whether this process writes files, samples and progress."""
    return not dist.is_initialized() or dist.get_rank() == 0


def any_process(flag: bool, device: torch.device) -> bool:
    """Say whether `flag` is set in at least one process, the same answer everywhere."""
    if world_size() == 1:
        return flag
    return bool(sum_over_processes(torch.tensor(float(flag), device=device)).item() > 0)


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def broadcast_from_main(tensors: Iterable[Tensor]) -> None:
    """Copy the main process's values into every process's tensors, in place."""
    if world_size() == 1:
        return
    for tensor in tensors:
        value = tensor.detach().contiguous()
        dist.broadcast(value, src=0)
        tensor.data.copy_(value)


def average_gradients(parameters: list[Parameter]) -> None:
    """Replace gradients by their mean over the processes, in flattened buckets.

    A parameter without a gradient here counts as zero, also with one process, so that the
    number of processes changes nothing: all must send the same list.
    """
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if world_size() == 1:
        return
    bucket: list[Parameter] = []
    elements = 0
    for parameter in parameters:
        bucket.append(parameter)
        elements += parameter.numel()
        if elements >= BUCKET_ELEMENTS:
            _average_bucket(bucket)
            bucket, elements = [], 0
    if bucket:
        _average_bucket(bucket)


def _average_bucket(parameters: list[Parameter]) -> None:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    start_element = 0
    for gradient in gradients:
        end_element = start_element + gradient.numel()
        gradient.copy_(flat[start_element:end_element].view_as(gradient))
        start_element = end_element
