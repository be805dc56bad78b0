"""A report holds every module, its parts add up, and text and picture show them."""

import json

import pytest
import torch

from benchmarks.modules import official, random_models
from benchmarks.modules.flops import FlopCount
from benchmarks.modules.inputs import CALLS, WHOLES, parts_of
from benchmarks.modules.picture import TITLES, draw_times, picture_bytes
from benchmarks.modules.random_models import official_codec
from benchmarks.modules.report import HEADER, markdown_report, module_rows, text_report
from benchmarks.modules.settings import TITLES as NAMES
from benchmarks.modules.settings import Settings
from benchmarks.tables import seconds_text
from semanticodec.benchmark.modules import REST
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.config import tiny
from semanticodec.errors import ConfigError
from semanticodec.evaluation.tables import plain_table


@pytest.fixture(scope="module")
def rows(report):
    return {row["name"]: row for row in report["modules"]}


def test_every_module_is_measured_and_survives_json(report):
    assert [row["name"] for row in report["modules"]] == list(NAMES)
    assert set(NAMES) == {*CALLS, *WHOLES}
    assert json.loads(json.dumps(report))["settings"]["modules"] == list(NAMES)
    for row in report["modules"]:
        assert len(row["seconds"]["runs"]) == len(row["cpu_seconds"]["runs"]) == 2
        assert row["gflops"] == pytest.approx(row["gflop"] / row["seconds"]["median"])
        assert row["peak_memory_mb"] > 1
    assert {"date", "machine", "versions"} <= set(report)


@pytest.mark.parametrize("name", WHOLES)
def test_shares_add_up_to_a_run(rows, name):
    shares = rows[name]["shares"]
    runs = rows[name]["seconds"]["runs"]
    assert sum(shares.values()) == pytest.approx(min(runs), rel=1e-9)
    assert all(seconds >= 0 for seconds in shares.values())
    assert {*WHOLES[name], "sampler" if name == "sampler" else REST} <= set(shares) <= set(TITLES)


def test_guided_steps_count_twice_and_short_windows_less(tiny_codec, rows):
    count = FlopCount(tiny_codec.config)
    # Of three steps, those at 667 and 334 of 1000 are guided.
    assert rows["sampler"]["calls"]["unet"] == 3
    assert rows["sampler"]["windows"]["unet"] == 2 + 2 + 1
    decode = rows["decode"]
    assert decode["windows"]["vae"] == decode["windows"]["vocoder"] == 2
    one = count.of_window("vae") + count.of_window("vocoder") + 5 * count.of_window("unet")
    assert one < 1e9 * decode["gflop"] < 2.2 * one
    assert 1e9 * rows["unet"]["gflop"] == pytest.approx(2 * count.of_window("unet"))
    assert decode["times_real_time"] == pytest.approx(11 / decode["seconds"]["median"])


def test_the_table_is_aligned_and_has_all_modules(report):
    text = text_report(report)
    lines = plain_table(HEADER, module_rows(report))
    assert "\n".join(lines) in text
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == len(NAMES) + 1
    assert "sampler, 3 steps" in text and "T-UNet, one step with guidance" in text
    assert "as fast as the official code's 122 s (with other steps" in text
    page = markdown_report(report, "benchmark.png")
    assert "![Where the time goes](benchmark.png)" in page
    assert page.count("\n| ") == 2 + len(NAMES) + 2 + 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00012, "0.0001"), (0.01234, "0.0123"), (0.9999, "1.00"), (9.996, "10.0"), (123.4, "123")],
)
def test_seconds_have_three_digits(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_picture_is_the_same_for_the_same_report(report, kind):
    figure, again = draw_times(report), draw_times(report)
    assert figure is not None and again is not None
    picture = picture_bytes(figure, kind)
    assert picture == picture_bytes(again, kind)
    assert len(picture) > 5000
    labels = [text.get_text() for legend in figure.axes for text in legend.texts]
    assert any(label.endswith(" s") for label in labels)


def test_without_encode_and_decode_there_is_no_picture(report):
    singles = [row for row in report["modules"] if row["name"] in CALLS]
    assert draw_times({**report, "modules": singles}) is None


def test_the_comparison_corrects_for_the_machine():
    peaks = [{"name": name, "gflops": 2 * peak} for name, peak in official.PEAKS.items()]
    compared = official.compare(20.0, 2, peaks)
    assert compared["raw"] == pytest.approx(6.1)
    assert list(compared["corrected"].values()) == [pytest.approx(3.05)] * 3
    assert official.compare(20.0, 1, None)["corrected"] == {}


def test_modules_that_are_not_measured_take_no_memory(monkeypatch):
    config = choose_vocabulary(tiny(), None)
    monkeypatch.setattr(random_models, "official_config", lambda rate, vocabulary: config)
    codec = official_codec(100, 128, parts_of(("vae", "lstm")), "cpu", torch.bfloat16)
    assert not any(tensor.is_meta for tensor in codec.decoder.vae.state_dict().values())
    assert not any(tensor.is_meta for tensor in codec.encoder.acoustic.state_dict().values())
    assert all(tensor.is_meta for tensor in codec.decoder.unet.parameters())
    assert all(tensor.is_meta for tensor in codec.encoder.audiomae.parameters())
    assert next(codec.decoder.vae.parameters()).dtype == torch.bfloat16
    assert next(codec.encoder.acoustic.parameters()).dtype == torch.float32


def test_decoding_needs_the_codebooks_too():
    assert set(parts_of(("decode",))) == {
        "decoder.unet",
        "decoder.vae",
        "decoder.vocoder",
        "encoder.semantic",
        "encoder.quantizer",
    }
    assert parts_of(("fbank",)) == ()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"modules": ("vae", "lungs")}, "there is no module lungs; choose from fbank, audiomae"),
        ({"modules": ()}, "there is no module to measure"),
    ],
)
def test_settings_that_measure_nothing_are_refused(values, text):
    with pytest.raises(ConfigError, match=text):
        Settings(model="tiny", **values)
