"""Write the eight seconds of music of the demo as a MIDI file: our own tune, our own bytes.

    python demo/compose_midi.py OUT.mid

Four bars in D minor at 120 beats a minute for electric piano, strings, bass and drums.
"""

import struct
import sys
from pathlib import Path
from typing import NamedTuple

TICKS_PER_BEAT = 480
MICROSECONDS_PER_BEAT = 500_000
DRUM_CHANNEL = 9
KICK, SNARE, HI_HAT = 36, 38, 42


class Note(NamedTuple):
    """One note: start and length in beats, pitch and velocity as MIDI counts them (0-127)."""

    start: float
    length: float
    pitch: int
    velocity: int


def melody() -> list[Note]:
    """The tune, one bar a row: (pitch, beats), None is a rest."""
    bars = [
        [(69, 1.0), (74, 0.5), (76, 0.5), (77, 1.5), (76, 0.5)],
        [(74, 0.5), (72, 0.5), (70, 1.0), (None, 0.5), (70, 0.5), (74, 1.0)],
        [(72, 1.0), (69, 0.5), (72, 0.5), (76, 1.5), (74, 0.5)],
        [(73, 0.5), (76, 0.5), (69, 1.0), (74, 2.0)],
    ]
    notes = []
    beat = 0.0
    for bar in bars:
        for pitch, length in bar:
            if pitch is not None:
                notes.append(Note(beat, length * 0.95, pitch, 100 if beat % 2 == 0 else 86))
            beat += length
    return notes


def chords() -> list[Note]:
    """Dm, B flat, F, A7 and home to Dm, held by the strings."""
    held = [
        (0, 4, (50, 57, 62, 65)),
        (4, 4, (46, 58, 62, 65)),
        (8, 4, (53, 57, 60, 69)),
        (12, 2, (57, 61, 64, 67)),
        (14, 2, (50, 57, 62, 65)),
    ]
    return [Note(start, length, pitch, 58) for start, length, pitches in held for pitch in pitches]


def bass() -> list[Note]:
    """Root and fifth in a dotted rhythm under each bar."""
    roots = [38, 34, 41, 33]
    notes = []
    for bar, root in enumerate(roots):
        for offset, length, interval in ((0, 1.4, 0), (1.5, 0.4, 0), (2, 0.9, 7), (3, 0.9, 12)):
            notes.append(Note(4 * bar + offset, length, root + interval, 96))
    return notes


def drums() -> list[Note]:
    """Kick on one and three, snare on two and four, hi-hat on every half beat."""
    notes = []
    for half in range(32):
        beat = half / 2
        notes.append(Note(beat, 0.2, HI_HAT, 74 if half % 2 == 0 else 50))
        if half % 4 == 0:
            notes.append(Note(beat, 0.2, KICK, 104))
        if half % 4 == 2:
            notes.append(Note(beat, 0.2, SNARE, 92))
    return notes


def variable_length(value: int) -> bytes:
    """Encode a MIDI quantity: seven bits a byte, high bit set on all but the last."""
    encoded = [value & 0x7F]
    while value := value >> 7:
        encoded.append(0x80 | (value & 0x7F))
    return bytes(reversed(encoded))


def track(events: list[tuple[int, bytes]]) -> bytes:
    """Return one track chunk from (absolute tick, message) pairs."""
    body = b""
    now = 0
    for tick, message in sorted(events):
        body += variable_length(tick - now) + message
        now = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def part(channel: int, program: int, volume: int, notes: list[Note]) -> bytes:
    """Return the track of one instrument on its own channel."""
    events = [(0, bytes([0xC0 | channel, program])), (0, bytes([0xB0 | channel, 7, volume]))]
    for note in notes:
        start = round(note.start * TICKS_PER_BEAT)
        end = round((note.start + note.length) * TICKS_PER_BEAT)
        events.append((start, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((end, bytes([0x80 | channel, note.pitch, 0])))
    return track(events)


def compose() -> bytes:
    """Return the whole standard MIDI file (format 1)."""
    tempo = [(0, b"\xff\x51\x03" + MICROSECONDS_PER_BEAT.to_bytes(3, "big"))]
    electric_piano, strings, finger_bass, standard_kit = 4, 48, 33, 0
    tracks = [
        track(tempo),
        part(0, electric_piano, 110, melody()),
        part(1, strings, 84, chords()),
        part(2, finger_bass, 104, bass()),
        part(DRUM_CHANNEL, standard_kit, 84, drums()),
    ]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS_PER_BEAT)
    return header + b"".join(tracks)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(compose())
