"""Hear what the codec keeps: wav -> a few hundred bytes -> wav, with a picture of the way.

    make demo                     the recordings of demo/examples
    make demo INPUT=any.wav       a file, a folder or a quoted pattern of your own

For each recording, demo-output/ gets the `.smtc` file, the decoded wav and a PNG of both
spectrograms with the codes between them.
"""

import argparse
import os
import sys
import time

from semanticodec import Codes, SemantiCodec
from semanticodec.audio import load_audio, save_audio
from semanticodec.cli.inputs import AUDIO_SUFFIXES, expand
from semanticodec.cli.outputs import Task, plan
from semanticodec.errors import SemantiCodecError
from semanticodec.pictures.roundtrip import draw_roundtrip


def demonstrate(codec: SemantiCodec, task: Task) -> None:
    """Encode, store, load, decode and draw one recording, and say what it took."""
    stored = task.target
    assert stored is not None
    stored.parent.mkdir(parents=True, exist_ok=True)
    with task.item.opened() as recording:
        started = time.perf_counter()
        codes = codec.encode(recording)
        codes.save(stored)
        encoded = time.perf_counter()

        codes = Codes.load(stored)  # from here on, the stored bytes are all there is
        wav = codec.decode(codes)[0, 0]
        decoded = time.perf_counter()

        sound, picture = stored.with_suffix(".decoded.wav"), stored.with_suffix(".png")
        save_audio(sound, wav, codec.sample_rate)
        recording.seek(0)
        original = load_audio(recording, codec.sample_rate)
    draw_roundtrip(picture, original.numpy(), codes, wav.numpy(), task.item.relative.name)

    seconds, num_bytes = codes.duration_s[0], stored.stat().st_size
    print(task.item.name)
    print(f"  {seconds:.2f} s -> {2 * codes.num_positions[0]} tokens -> {num_bytes} bytes", end="")
    print(f" ({num_bytes * 8 / seconds / 1000:.2f} kbps; 16-bit PCM has {16 * 16} kbps)")
    print(f"  encoded in {encoded - started:.1f} s, decoded in {decoded - encoded:.1f} s")
    print(f"  {stored}  {sound.name}  {picture.name}")


def main() -> int:
    """Run the demo and return the exit status: 2 when a recording failed."""
    parser = argparse.ArgumentParser(description="Hear what the codec keeps of a recording.")
    parser.add_argument("input", help="sound file, folder or quoted pattern")
    parser.add_argument(
        "-o", "--output", default="demo-output", help="output folder (default: %(default)s)"
    )
    args = parser.parse_args()
    status = 0
    try:
        items = expand([args.input], AUDIO_SUFFIXES, args.output)
        tasks = plan(items, os.path.join(args.output, ""), ".smtc")
        codec = SemantiCodec.from_pretrained()
    except (SemantiCodecError, OSError) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 2
    for task in tasks:
        try:
            demonstrate(codec, task)
        except (SemantiCodecError, OSError) as error:
            print(f"demo: error: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
