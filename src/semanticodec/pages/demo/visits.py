"""What visitors of the demo page ask for, from upload to result.

Nothing is kept between requests: a visitor's result depends on the visitor's own request alone.
Every request yields the HTML of its status and of its result, which is empty until all is done.
Requests take turns, step by step, as each step uses all cores; between two steps a request can be
stopped, and one that nobody follows any more stands still.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from semanticodec.errors import SemantiCodecError
from semanticodec.pages.codecs import Codecs
from semanticodec.pages.coding import Decoding, Progress, code, compare, decode
from semanticodec.pages.demo.report import (
    coding_html,
    comparison_html,
    done_html,
    error_html,
    status_html,
)
from semanticodec.pages.demo.stops import Stops
from semanticodec.pages.demo.uploads import UploadLimits

Shown = Iterator[tuple[str, str]]
DRAWING = Progress("Drawing the result", 1.0)


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Answers to all visitors.

    Attributes:
        codecs: codecs of the model.
        limits: how much one visitor may hand over.
        stops: requests that are being answered, which those who asked may stop.
    """

    codecs: Codecs
    limits: UploadLimits
    stops: Stops = field(default_factory=Stops, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def code(
        self,
        path: str | None,
        token_rate: int,
        semantic_vocab_size: int,
        quality: str,
        seed: int | None,
        visitor: str = "",
    ) -> Shown:
        """Encode and decode an uploaded sound.

        Args:
            path: upload; None: there is none yet.
            token_rate: tokens per second.
            semantic_vocab_size: entries of the semantic codebook.
            quality: name of the sampling settings.
            seed: random seed; None for 0.
            visitor: who asks, for `stops`.
        """

        def work() -> Generator[Progress, None, str]:
            yield Progress("Reading the sound", 0.0)
            wav = self.limits.read_sound(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            coding = yield from code(self.codecs, wav, token_rate, semantic_vocab_size, decoding)
            yield DRAWING
            return coding_html(wav, coding, _stem(path))

        yield from self._shown(work(), visitor)

    def compare(self, path: str | None, quality: str, seed: int | None, visitor: str = "") -> Shown:
        """Encode and decode an uploaded sound at every token rate; see `code`."""

        def work() -> Generator[Progress, None, str]:
            yield Progress("Reading the sound", 0.0)
            wav = self.limits.read_sound(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            codings = yield from compare(self.codecs, wav, decoding)
            yield DRAWING
            return comparison_html(wav, codings, _stem(path))

        yield from self._shown(work(), visitor)

    def decode(self, path: str | None, quality: str, seed: int | None, visitor: str = "") -> Shown:
        """Decode an uploaded `.smtc` file; see `code`."""

        def work() -> Generator[Progress, None, str]:
            codes = self.limits.read_codes(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            coding = yield from decode(self.codecs, codes, decoding)
            yield DRAWING
            return coding_html(None, coding, _stem(path))

        yield from self._shown(work(), visitor)

    def _shown(self, work: Generator[Progress, None, str], visitor: str) -> Shown:
        with self.stops.running(visitor) as stopped:
            try:
                while not stopped.is_set():
                    with self._turn:
                        progress = next(work)
                    yield status_html(progress), ""
                yield done_html("Cancelled."), ""
            except StopIteration as finished:
                yield done_html("Done."), finished.value
            except (SemantiCodecError, OSError) as error:
                yield error_html(error), ""


def _stem(path: str | None) -> str:
    return Path(path or "").stem
