"""Cut recordings as prompts will be cut: pieces of 2.56 s that are encoded alone.

The encoder sees a whole window. A prompt has other codes than the start of the recording that it
was cut from, so a model that learned whole recordings would meet codes that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import soundfile

from semanticodec import Codes, SemantiCodec
from semanticodec.audio.io import load_audio
from semanticodec.errors import AudioError
from semanticodec.files import write_text

PIECE_S = 2.56  # whole columns at every token rate
SUFFIXES = (".flac", ".mp3", ".ogg", ".opus", ".wav")


def write_manifest(recordings: Path, manifest: Path) -> int:
    """Write the pieces of all recordings of a folder as `semanticodec tokenize` takes them.

    Returns:
        Number of pieces.
    """
    rows = [row for path in sorted(recordings.rglob("*")) for row in _pieces(path, recordings)]
    write_text(manifest, "".join(f"{json.dumps(row)}\n" for row in rows))
    return len(rows)


def _pieces(path: Path, folder: Path) -> Iterator[dict[str, object]]:
    if path.suffix.lower() not in SUFFIXES:
        return
    for number in range(round(soundfile.info(path).duration * 100) // round(PIECE_S * 100)):
        yield {
            "path": str(path.resolve()),
            "offset": round(number * PIECE_S, 2),
            "duration": PIECE_S,
            # The corpus carries these two along; they put the pieces together again.
            "recording": str(path.relative_to(folder)),
            "piece": number,
        }


def encode_prompt(codec: SemantiCodec, path: Path, num_pieces: int) -> Codes:
    """Return the codes of a recording's first pieces, one after the other.

    Raises:
        AudioError: a recording shorter than a piece.
    """
    length = round(PIECE_S * codec.sample_rate)
    wav = load_audio(path)
    num_pieces = min(num_pieces, len(wav) // length)
    if not num_pieces:
        raise AudioError(f"{path} is shorter than {PIECE_S} s; give a longer recording")
    pieces = wav[: num_pieces * length].view(num_pieces, 1, length)
    return codec.codes_from(codec.encode(pieces).stacked().transpose(0, 1).flatten(1)[None])
