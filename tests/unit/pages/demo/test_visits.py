"""The demo page's answers: own results for everybody, clear messages for what cannot be done."""

import io
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

pytest.importorskip("pyloudnorm")

from semanticodec.container.reader import Reader
from semanticodec.container.writer import Writer
from semanticodec.pages import short_sound
from semanticodec.pages.codecs import Codecs
from semanticodec.pages.demo.uploads import UploadLimits
from semanticodec.pages.demo.visits import Visits


@pytest.fixture(scope="module")
def visits(quick_codec):
    settings = {quick_codec.token_rate: (quick_codec.semantic_vocab_size,)}
    codecs = Codecs(settings, lambda *_: quick_codec)
    return Visits(codecs=codecs, limits=UploadLimits(max_seconds=2.0))


def sound(path, frequency=440.0, seconds=0.5):
    time_s = np.arange(int(seconds * 16_000)) / 16_000
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * frequency * time_s), 16_000)
    return str(path)


def code(visits, path):
    return visits.code(path, 100, visits.codecs.settings[100][0], "standard", 0)


def message(shown):
    """The text of an error."""
    (status, result), *_ = [pair for pair in shown if 'role="alert"' in pair[0]]
    assert result == ""
    return re.sub(r"<[^>]*>", "", status)


def test_a_result_comes_last_and_has_all(visits, tmp_path):
    *working, (status, result) = code(visits, sound(tmp_path / "a.wav"))
    assert {shown for _, shown in working} == {""}
    assert all('role="status"' in step and "<progress" in step for step, _ in working)
    assert "Done." in status
    assert result.count("data:audio/flac;base64,") == 2  # original and reconstruction
    assert "data:image/png;base64," in result and 'alt="Spectrograms' in result
    assert 'download="a-100.smtc"' in result
    assert "<td>64</td>" in result  # tokens: 4 columns of 8 positions and 2 streams


def test_two_visitors_at_once_get_their_own(visits, tmp_path):
    paths = [sound(tmp_path / "first.wav", 300), sound(tmp_path / "second.flac", 3000)]
    alone = [[*code(visits, path)][-1][1] for path in paths]
    together = zip(*(code(visits, path) for path in paths))  # step by step in turn
    *_, ((_, first), (_, second)) = together
    for result, expected, name in ((first, alone[0], "first"), (second, alone[1], "second")):
        assert sounds(result) == sounds(expected)
        assert f'download="{name}-100.smtc"' in result
    assert sounds(first) != sounds(second)


def test_a_visitor_stops_the_own_request_alone(visits, tmp_path):
    path = sound(tmp_path / "a.wav")
    settings = (path, 100, visits.codecs.settings[100][0], "standard", 0)
    first, second = (visits.code(*settings, visitor=name) for name in ("first", "second"))
    next(first)
    next(second)
    visits.stops.stop("first")
    assert [*first] == [('<p role="status">Cancelled.</p>', "")]
    *_, (status, result) = second
    assert "Done." in status and result
    visits.stops.stop("first")  # nothing is running any more
    *_, (status, _) = visits.code(*settings, visitor="first")
    assert "Done." in status


def test_a_request_that_nobody_follows_keeps_nobody_waiting(visits, tmp_path):
    left_alone = code(visits, sound(tmp_path / "a.wav"))
    next(left_alone)
    *_, (status, _) = code(visits, sound(tmp_path / "b.wav"))
    assert "Done." in status


def sounds(html):
    return re.findall(r"data:audio/flac;base64,[^\"]*", html)


def test_what_is_downloaded_decodes_to_the_same(visits, tmp_path, quick_codec):
    path = sound(tmp_path / "a.wav")
    quick_codec.encode(path).save(tmp_path / "a.smtc")
    *_, (_, result) = visits.decode(str(tmp_path / "a.smtc"), "standard", 0)
    assert len(sounds(result)) == 1
    assert 'alt="Spectrograms of reconstruction' in result


def test_a_comparison_has_the_original_and_every_rate(visits, tmp_path):
    *_, (_, result) = visits.compare(sound(tmp_path / "a.wav"), "standard", None)
    assert len(sounds(result)) == 1 + len(visits.codecs.token_rates)


def test_a_20_minute_sound_is_refused_before_it_is_read(visits, tmp_path, monkeypatch):
    read = short_sound.read_blocks
    lengths = []

    def counted(file):
        for block in read(file):
            lengths.append(len(block))
            yield block

    monkeypatch.setattr(short_sound, "read_blocks", counted)
    path = sound(tmp_path / "long.wav", seconds=20 * 60)
    assert "long.wav is longer than 2 s" in message(code(visits, path))
    assert sum(lengths) <= 10 * 16_000


def test_rubbish_is_named_as_its_owner_names_it(visits, tmp_path):
    (tmp_path / "rubbish.wav").write_bytes(b"no sound at all" * 100)
    text = message(code(visits, str(tmp_path / "rubbish.wav")))
    assert "rubbish.wav is not readable audio" in text
    assert str(tmp_path) not in text
    text = message(visits.decode(str(tmp_path / "rubbish.wav"), "standard", 0))
    assert "not a .smtc" in text


def test_nothing_and_too_much_are_refused(visits, tmp_path, quick_codec):
    assert "record one or upload a file" in message(code(visits, None))
    assert "no .smtc file yet" in message(visits.decode(None, "standard", 0))
    small = Visits(codecs=visits.codecs, limits=UploadLimits(max_bytes=1000))
    assert "this page takes" in message(code(small, sound(tmp_path / "a.wav")))
    quick_codec.encode(sound(tmp_path / "b.wav", seconds=3.0)).save(tmp_path / "b.smtc")
    text = message(visits.decode(str(tmp_path / "b.smtc"), "standard", 0))
    assert "b.smtc holds more than 2 s" in text


def test_a_stream_that_hides_its_length_is_refused_all_the_same(visits, tmp_path, quick_codec):
    stream = io.BytesIO()
    quick_codec.encode(sound(tmp_path / "b.wav", seconds=3.0)).save(stream)
    stream.seek(0)
    with Reader(stream) as reader:
        header = replace(reader.header, num_samples=None)
        with Writer(tmp_path / "b.smtc", header) as writer:
            for block in reader:
                writer.write_block(block.semantic, block.acoustic)
    assert "more than 2 s" in message(visits.decode(str(tmp_path / "b.smtc"), "standard", 0))


def test_names_are_text_not_html(visits, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    *_, (_, result) = code(visits, sound(folder / "<img src=x onerror=alert(1)>.wav"))
    assert "<img src=x" not in result
    assert "&lt;img src=x" in result


def test_the_answers_need_no_gradio():
    program = "import sys, semanticodec.pages.demo.visits; print('gradio' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "False", ran.stderr
