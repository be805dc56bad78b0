"""Files and pipes of codes (`.smtc`); needs numpy alone, never torch."""

from semanticodec.container.format import Block, Header
from semanticodec.container.reader import Reader, read, read_header
from semanticodec.container.writer import Writer, write

__all__ = ["Block", "Header", "Reader", "Writer", "read", "read_header", "write"]
