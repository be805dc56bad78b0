"""Hear what the codec keeps: wav -> a few hundred bytes -> wav, with a picture of the way.

    make demo                     the recordings of demo/examples
    make demo INPUT=any.wav       a file, a folder or a quoted pattern of your own

For each recording, demo-output/ gets the `.smtc` file, the decoded wav and a PNG of both
spectrograms with the codes between them.
"""

import argparse
import sys
import time
from pathlib import Path

from semanticodec import Codes, SemantiCodec
from semanticodec.audio import load_audio, save_audio
from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.cli.plot import draw_roundtrip
from semanticodec.errors import SemantiCodecError


def demonstrate(codec: SemantiCodec, recording: Path, folder: Path) -> None:
    """Encode, store, load, decode and draw one recording, and say what it took."""
    started = time.perf_counter()
    codes = codec.encode(recording)
    stored = folder / f"{recording.stem}.smtc"
    codes.save(stored)
    encoded = time.perf_counter()

    codes = Codes.load(stored)  # from here on, the stored bytes are all there is
    wav = codec.decode(codes)[0, 0]
    decoded = time.perf_counter()

    sound, picture = stored.with_suffix(".decoded.wav"), stored.with_suffix(".png")
    save_audio(sound, wav, codec.sample_rate)
    original = load_audio(recording, codec.sample_rate)
    draw_roundtrip(picture, original.numpy(), codes, wav.numpy(), recording.name)

    seconds, num_bytes = codes.duration_s[0], stored.stat().st_size
    print(f"{recording}")
    print(f"  {seconds:.2f} s -> {2 * codes.num_positions[0]} tokens -> {num_bytes} bytes", end="")
    print(f" ({num_bytes * 8 / seconds / 1000:.2f} kbps; 16-bit PCM has {16 * 16} kbps)")
    print(f"  encoded in {encoded - started:.1f} s, decoded in {decoded - encoded:.1f} s")
    print(f"  {stored}  {sound.name}  {picture.name}")


def main() -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(description="Hear what the codec keeps of a recording.")
    parser.add_argument("input", help="a sound file, a folder or a quoted pattern")
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        recordings = [item.path for item in expand([args.input], AUDIO_SUFFIXES) if item.path]
        codec = SemantiCodec.from_pretrained()
        for recording in recordings:
            demonstrate(codec, recording, args.output)
    except (SemantiCodecError, OSError) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
