#!/usr/bin/env bash
# Makes the three recordings of demo/examples from nothing but this folder and three programs:
#   apt-get install espeak-ng fluidsynth fluid-soundfont-gm sox
# Each is 16 kHz mono FLAC of at most 10 s. See demo/examples/README.md for their license.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
SOUND_FONT="${SOUND_FONT:-/usr/share/sounds/sf2/FluidR3_GM.sf2}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir -p examples

# -R: the same random numbers, hence the same noise and dither, on every run.
finish() { # finish IN OUT: 16 kHz, mono, 16 bit, peak at -3 dB
    sox -R "$1" -b 16 "$2" channels 1 rate -v 16000 norm -3 "${@:3}"
}

# Speech: two synthetic voices in a small room.
espeak-ng -v en-us -s 150 -p 45 -w "$scratch/first.wav" \
    "A codec listens to a sound, and keeps a few hundred bytes of it."
espeak-ng -v en-gb+f3 -s 155 -p 60 -w "$scratch/second.wav" \
    "From those, it speaks the sentence again."
sox -R "$scratch/first.wav" "$scratch/first_padded.wav" pad 0.2 0.35
sox -R "$scratch/first_padded.wav" "$scratch/second.wav" "$scratch/speech.wav" \
    gain -6 reverb 12 40 20
finish "$scratch/speech.wav" examples/speech.flac

# Music: four bars of our own.
python3 compose_midi.py "$scratch/music.mid"
fluidsynth -n -i -q -r 44100 -g 0.5 -T wav -F "$scratch/music.wav" "$SOUND_FONT" "$scratch/music.mid"
finish "$scratch/music.wav" examples/music.flac trim 0 9 fade t 0 9 0.8

# Sound: rain with a dripping gutter, far thunder, and a bell that is struck three times.
rate=44100
sox -R -r $rate -n "$scratch/rain.wav" synth 9 pinknoise highpass 900 lowpass 6000 tremolo 0.3 30 gain -20
drips=()
for at in 0.31 0.92 1.74 2.06 2.63 3.88 4.45 4.97 6.12 6.58 7.31 7.77 8.36; do
    sox -R -r $rate -n "$scratch/drip$at.wav" \
        synth 0.06 sine 1500:3100 fade l 0.002 0.06 0.055 gain -9 pad "$at"
    drips+=("$scratch/drip$at.wav")
done
sox -R -m "${drips[@]}" "$scratch/drips.wav" gain 22
sox -R -r $rate -n "$scratch/thunder.wav" synth 5 brownnoise gain -6 highpass 40 lowpass 250 fade q 1.2 5 3.4 norm -12 pad 2.5
strike() { # strike OUT FREQUENCY: the inharmonic partials of a church bell, each with its own decay
    local partial=0 ratio seconds level parts=()
    while read -r ratio seconds level; do
        partial=$((partial + 1))
        sox -R -r $rate -n "$scratch/partial$partial.wav" \
            synth "$seconds" sine "$(awk "BEGIN { print $2 * $ratio }")" \
            fade l 0.002 "$seconds" "$(awk "BEGIN { print $seconds - 0.01 }")" gain "$level"
        parts+=("$scratch/partial$partial.wav")
    done <<'PARTIALS'
0.5 3.0 -9
1.0 2.4 -6
1.2 2.0 -8
1.5 1.5 -13
2.0 1.6 -9
2.67 0.9 -15
3.01 0.7 -17
4.1 0.45 -20
PARTIALS
    sox -R -m "${parts[@]}" "$1"
}
strike "$scratch/bell.wav" 523
sox -R "$scratch/bell.wav" "$scratch/bell1.wav" gain 9 pad 1.0
sox -R "$scratch/bell.wav" "$scratch/bell2.wav" gain 9 pad 3.2
sox -R "$scratch/bell.wav" "$scratch/bell3.wav" gain 9 pad 5.4
sox -R -m "$scratch/rain.wav" "$scratch/drips.wav" "$scratch/thunder.wav" \
    "$scratch"/bell[123].wav "$scratch/sound.wav"
finish "$scratch/sound.wav" examples/sound.flac trim 0 9 fade t 0.05 9 0.6

for clip in examples/*.flac; do
    echo "$clip $(soxi -D "$clip") s, $(soxi -r "$clip") Hz, $(stat -c %s "$clip") bytes"
done
