"""Models of transformers, read safely: from safetensors, and what their files lack is told."""

from __future__ import annotations

from typing import Any


def read_model(
    kind: Any, source: Any, *, is_folder: bool, config: Any = None
) -> tuple[Any, list[str]]:
    """Return a model and the names of its weights that the files lack, in order.

    transformers fills those with random numbers and goes on; damaged files raise whatever their
    readers do.

    Args:
        kind: class of transformers with `from_pretrained`.
        source: folder, or Hub id.
        is_folder: whether it is a folder, for which no network is touched.
        config: configuration that was read before; None reads it.
    """
    model, loaded = kind.from_pretrained(
        source,
        config=config,
        local_files_only=is_folder,
        use_safetensors=True,  # pickles can run code
        output_loading_info=True,
    )
    return model, sorted(loaded["missing_keys"])
