"""Makes one shard at a time: its recordings encoded, its files written, its checksums taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.corpus.encode_items import encode_items
from semanticodec.corpus.formats import FORMATS
from semanticodec.corpus.item import WorkItem
from semanticodec.corpus.journal import Failure, ShardDone
from semanticodec.corpus.plan import ShardPlace, as_text, read_shard
from semanticodec.corpus.record import TokenRecord
from semanticodec.encoding import RecordingCodes
from semanticodec.errors import SemantiCodecError
from semanticodec.files import file_digest, output_errors
from semanticodec.parallel import BoundedPool


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model every worker loads.

    Attributes:
        source: folder or Hub id; None for the built-in model.
        token_rate: tokens per second; None for the model's own.
        semantic_vocab_size: entries of the semantic codebook; None for the largest.
        device: device of the model, or "auto".
    """

    source: str | None = None
    token_rate: int | None = None
    semantic_vocab_size: int | None = None
    device: str = "auto"

    def load(self) -> SemantiCodec:
        """Return the model."""
        return SemantiCodec.from_pretrained(
            self.source,
            token_rate=self.token_rate,
            semantic_vocab_size=self.semantic_vocab_size,
            device=self.device,
        )


@dataclass(frozen=True, kw_only=True)
class ShardMaker:
    """Makes shards of a corpus.

    Attributes:
        codec: model.
        folder: output folder of the corpus, which holds the plan.
        formats: names of the formats to write.
        told: called after every recording with its samples at 16 kHz, 0 for one that failed.
        heard: called after every window with its samples.
    """

    codec: SemantiCodec
    folder: Path
    formats: Sequence[str]
    told: Callable[[int], object] = lambda num_samples: None
    heard: Callable[[int], object] = lambda num_samples: None

    def make(
        self,
        place: ShardPlace,
        models: BoundedPool,
        check: Callable[[], object] = lambda: None,
    ) -> ShardDone:
        """Encode a shard's recordings and write its files.

        Args:
            place: which shard.
            models: threads in which the model computes.
            check: called before every window; may raise to stop the work.
        Raises:
            OutputError: a file cannot be written.
            DataError: the plan is damaged.
        """
        items = read_shard(self.folder, place)
        found: dict[int, RecordingCodes | Exception] = {}
        encoder = self.codec.recording_encoder()
        for number, codes in encode_items(encoder, items, models, check, self.heard):
            found[number] = codes
            self.told(0 if isinstance(codes, Exception) else codes.num_samples)
        records, failures = [], []
        for number, item in enumerate(items):
            codes = found[number]
            if isinstance(codes, Exception):
                failures.append(_failure(item, codes))
            else:
                records.append(self._record(item, codes))
        return ShardDone(
            shard=place.shard,
            ids=[record.id for record in records],
            num_samples=sum(record.codes.num_samples[0] for record in records),
            files=self._written(place.shard, records),
            failures=failures,
        )

    def _record(self, item: WorkItem, codes: RecordingCodes) -> TokenRecord:
        return TokenRecord(
            id=item.id,
            codes=Codes(
                codes.semantic,
                codes.acoustic,
                (codes.num_samples,),
                self.codec.format,
                fingerprint=self.codec.model_fingerprint,
            ),
            source=item.source,
            columns=item.columns,
        )

    def _written(self, shard: str, records: Sequence[TokenRecord]) -> dict[str, str]:
        """Write a shard's files; return their digests once they are on disk."""
        if not records:
            return {}
        paths = [
            path
            for name in self.formats
            for path in FORMATS[name].write(self.folder, shard, records)
        ]
        with output_errors(self.folder):
            for path in paths:
                _sync(self.folder / path)
            for parent in {path.parent for path in paths}:
                _sync(self.folder / parent)
        return {path.as_posix(): file_digest(self.folder / path) for path in paths}


def _failure(item: WorkItem, error: Exception) -> Failure:
    reason = " ".join(str(error).split())
    if not isinstance(error, SemantiCodecError):
        reason = f"{type(error).__name__}: {reason}"
    return Failure(id=item.id, source=item.source, reason=as_text(reason))


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
