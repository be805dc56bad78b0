"""Files and pipes of codes (`.smtc`); needs numpy alone, never torch."""

from semanticodec.container.format import Header
from semanticodec.container.framing import Block, PayloadCoder
from semanticodec.container.reader import Reader, read, read_header
from semanticodec.container.writer import Writer, write

__all__ = ["Block", "Header", "PayloadCoder", "Reader", "Writer", "read", "read_header", "write"]
