"""The fingerprint of a model: eight bytes that name the weights which give codes their meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from semanticodec.container.format import FINGERPRINT_SIZE

PREFIX = "encoder."
SAMPLED_VALUES = 64


def fingerprint(state: Mapping[str, Tensor]) -> bytes:
    """Return 8 bytes that name the encoder's weights.

    Some values of every tensor are hashed: quick at any size, and any retraining changes them.

    Args:
        state: state dict of a whole codec.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        if key.startswith(PREFIX):
            digest.update(f"{key}{tuple(state[key].shape)}".encode())
            digest.update(_samples(state[key]).float().cpu().contiguous().numpy().tobytes())
    return digest.digest()[:FINGERPRINT_SIZE]


def _samples(tensor: Tensor) -> Tensor:
    """Return some values of a tensor; a view of them where its memory is contiguous."""
    flat = tensor.detach().flatten()
    step = max(1, flat.numel() // SAMPLED_VALUES)
    return flat[::step][:SAMPLED_VALUES]


class CurrentFingerprint:
    """The fingerprint of an encoder as it is now, computed anew only where its weights changed.

    The values that are hashed are compared each time, not version counters, which changes through
    `.data` pass by. That takes well below a millisecond, since they are read through views.
    """

    def __init__(self) -> None:
        self._views: tuple[list[int], list[Tensor] | None] = [], None
        self._known: tuple[bytes, bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the views: a copy has weights of its own."""
        return {"_views": ([], None), "_known": self._known}

    def of(self, encoder: nn.Module) -> bytes:
        """Return the fingerprint of the encoder's weights; zeros where they have no values."""
        tensors = list(tensors_of(encoder))
        if any(tensor.is_meta for tensor in tensors):
            return bytes(FINGERPRINT_SIZE)
        values = self._values(tensors)
        known = self._known
        if known is None or known[0] != values:
            state = {PREFIX + name: tensor for name, tensor in encoder.state_dict().items()}
            self._known = known = values, fingerprint(state)
        return known[1]

    def set(self, encoder: nn.Module, name: bytes) -> None:
        """Take another fingerprint for the encoder, until its weights change."""
        self._known = self._values(list(tensors_of(encoder))), name

    def _values(self, tensors: list[Tensor]) -> bytes:
        pointers = [tensor.data_ptr() for tensor in tensors]
        known, views = self._views
        # The views keep their memory alive, so an address stands for one tensor.
        if views is None or known != pointers:
            views = [_samples(tensor).float() for tensor in tensors]
            addresses = {view.untyped_storage().data_ptr() for view in views}
            is_copy = addresses != {tensor.untyped_storage().data_ptr() for tensor in tensors}
            self._views = pointers, None if is_copy else views
        return torch.cat(views).cpu().numpy().tobytes()


def tensors_of(module: nn.Module) -> Iterator[Tensor]:
    """Yield parameters and buffers; torch's own iterators take five times as long."""
    for members in (module._parameters, module._buffers):
        yield from (tensor for tensor in members.values() if tensor is not None)
    for child in module._modules.values():
        if child is not None:
            yield from tensors_of(child)
