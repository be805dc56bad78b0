"""What holds for any bytes that are given for a `.smtc` stream."""

from contextlib import suppress

from semanticodec.container import PayloadCoder, read, read_header
from semanticodec.container.framing import LEAST_SHARE
from semanticodec.errors import ContainerError


def check_any_bytes(data: bytes, coder: PayloadCoder | None = None) -> None:
    """Read in every way; whatever comes back is whole, within range and not too much."""
    with suppress(ContainerError):
        read_header(data)
    for conceal in (False, True):
        try:
            header, semantic, acoustic, is_concealed = read(data, conceal=conceal, coder=coder)
        except ContainerError:
            continue
        assert header.num_positions == len(semantic) == len(acoustic) == len(is_concealed) > 0
        assert semantic.min() >= 0 and semantic.max() < header.semantic_vocab_size
        assert acoustic.min() >= 0 and acoustic.max() < header.acoustic_vocab_size
        assert conceal or not is_concealed.any()
        window = header.format.positions_per_window
        share = 1 if header.tables is None else LEAST_SHARE
        assert len(semantic) <= share * len(data) * 8 // header.bits_per_position + window
