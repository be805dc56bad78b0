"""NeMo's manifest with codes in `.pt` files, as its text-to-speech sets take them.

FOLDER/nemo/00012/KEY.pt            int64 [2, L], semantic and acoustic
FOLDER/nemo/00012/records.jsonl     see `listed`
FOLDER/nemo/manifest.json           one JSON object per line, from all shards: audio_filepath,
                                    duration, target_audio_codes_path, and the carried columns

Source: NVIDIA NeMo, `TextToSpeechDataset`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt16

from semanticodec.checkpoints.torch_file import read_torch_file
from semanticodec.corpus.formats.fields import read_lines, to_line
from semanticodec.corpus.formats.listed import LIST_NAME, read_listed, write_listed
from semanticodec.corpus.formats.shards import relative, shard_folders
from semanticodec.corpus.record import TokenRecord
from semanticodec.errors import CheckpointError
from semanticodec.files import atomic_path

SUFFIX = ".pt"
MANIFEST_NAME = "manifest.json"


class Nemo:
    """A manifest and `.pt` files; see the module and `CorpusFormat`."""

    name = "nemo"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        return relative(folder, write_listed(folder / self.name / shard, records, SUFFIX, _save))

    def finish(self, folder: Path) -> list[Path]:
        """Write the manifest of all shards; see `CorpusFormat.finish`."""
        manifest = folder / self.name / MANIFEST_NAME
        with atomic_path(manifest) as partial, partial.open("w", encoding="utf-8") as file:
            for shard in shard_folders(folder / self.name):
                for fields in read_lines(shard / LIST_NAME):
                    entry = {
                        **fields["columns"],
                        "audio_filepath": fields["source"],
                        "duration": fields["num_samples"] / fields["sample_rate"],
                        "target_audio_codes_path": str(shard.resolve() / fields["path"]),
                    }
                    file.write(to_line(entry))
        return relative(folder, [manifest])

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for shard in shard_folders(folder / self.name):
            yield from read_listed(shard, SUFFIX, _load)


def _save(path: Path, ids: UInt16[np.ndarray, "2 L"]) -> None:
    torch.save(torch.from_numpy(ids.astype(np.int64)), path)


def _load(path: Path) -> Int64[np.ndarray, "2 L"]:
    try:
        codes = read_torch_file(path)
    except CheckpointError as error:
        raise ValueError("it holds something other than a tensor, or is damaged") from error
    is_tensor = isinstance(codes, torch.Tensor) and codes.dtype == torch.int64
    # One that is not contiguous may claim any size.
    if not is_tensor or codes.ndim != 2 or not codes.is_contiguous():
        raise ValueError("it holds no codes, int64 [2, L]")
    return codes.numpy()
