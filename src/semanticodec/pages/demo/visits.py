"""What visitors of the demo page ask for, from upload to result.

Nothing is kept between requests: a visitor's result depends on the visitor's own request alone.
Every request yields the HTML of its status and of its result, which is empty until all is done; a
request that is not asked for more does no more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
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
from semanticodec.pages.demo.uploads import UploadLimits

Shown = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Answers to all visitors.

    Attributes:
        codecs: codecs of the model.
        limits: how much one visitor may hand over.
    """

    codecs: Codecs
    limits: UploadLimits

    def code(
        self,
        path: str | None,
        token_rate: int,
        semantic_vocab_size: int,
        quality: str,
        seed: int | None,
    ) -> Shown:
        """Encode and decode an uploaded sound.

        Args:
            path: upload; None: there is none yet.
            token_rate: tokens per second.
            semantic_vocab_size: entries of the semantic codebook.
            quality: name of the sampling settings.
            seed: random seed; None for 0.
        """

        def work() -> Generator[Progress, None, str]:
            yield Progress("Reading the sound", 0.0)
            wav = self.limits.read_sound(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            coding = yield from code(self.codecs, wav, token_rate, semantic_vocab_size, decoding)
            return coding_html(wav, coding, _stem(path))

        yield from _shown(work())

    def compare(self, path: str | None, quality: str, seed: int | None) -> Shown:
        """Encode and decode an uploaded sound at every token rate; see `code`."""

        def work() -> Generator[Progress, None, str]:
            yield Progress("Reading the sound", 0.0)
            wav = self.limits.read_sound(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            codings = yield from compare(self.codecs, wav, decoding)
            return comparison_html(wav, codings, _stem(path))

        yield from _shown(work())

    def decode(self, path: str | None, quality: str, seed: int | None) -> Shown:
        """Decode an uploaded `.smtc` file; see `code`."""

        def work() -> Generator[Progress, None, str]:
            codes = self.limits.read_codes(path)
            decoding = Decoding(quality=quality, seed=seed or 0)
            coding = yield from decode(self.codecs, codes, decoding)
            return coding_html(None, coding, _stem(path))

        yield from _shown(work())


def _stem(path: str | None) -> str:
    return Path(path or "").stem


def _shown(work: Generator[Progress, None, str]) -> Shown:
    try:
        while True:
            yield status_html(next(work)), ""
    except StopIteration as finished:
        yield done_html("Done."), finished.value
    except (SemantiCodecError, OSError) as error:
        yield error_html(error), ""
