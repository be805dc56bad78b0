"""Figures 6 and 7 show what the rows hold, in any order, and refuse what they cannot show."""

import numpy as np
import pytest

from experiments.figures.style import picture_bytes
from experiments.figures.sweeps import draw_sweep
from fake_results import ablation, guidance_steps, score, vocabulary
from semanticodec.errors import DataError


def lines(axes):
    """Return y values by label."""
    return {container.get_label(): container.lines[0].get_ydata() for container in axes.containers}


def test_guidance_and_steps():
    figure = draw_sweep(guidance_steps(guidances=(1.0, 3.0), steps=(4, 10, 25)))
    visqol, mel = figure.axes
    assert visqol.get_ylabel() == "ViSQOL (speech mode): higher is better"
    assert mel.get_ylabel() == "MEL: lower is better"
    assert visqol.get_xlabel() == "Sampling steps"
    assert [tick.get_text() for tick in visqol.get_xticklabels()] == ["4", "10", "25"]
    for guidance in (1, 3):
        wanted = [2 + steps / 50 - guidance / 9 for steps in (4, 10, 25)]
        assert lines(visqol)[str(guidance)] == pytest.approx(wanted)
        assert lines(mel)[str(guidance)] == pytest.approx([5 - value for value in wanted])


@pytest.mark.parametrize("make", [guidance_steps, vocabulary])
def test_the_order_of_the_rows_does_not_matter(make):
    result = make()
    turned = {**result, "rows": result["rows"][1::2] + result["rows"][::2]}
    assert picture_bytes(draw_sweep(result), "png") == picture_bytes(draw_sweep(turned), "png")


def test_vocabularies_quality_errors_and_bitrates():
    figure = draw_sweep(vocabulary(rates=(100, 25), vocabularies=(4096, 8192, 16384)))
    visqol, wer = figure.axes[:2]
    assert lines(visqol)["100 tokens/s"] == pytest.approx([3.0] * 3)
    assert wer.get_ylabel() == "WER, %: lower is better"
    assert lines(wer)["25 tokens/s"] == pytest.approx([12.5] * 3)  # of speech, though no average
    bitrates = figure.axes[2]
    assert bitrates.get_ylabel() == "Bitrate (kbps)"
    heights = sorted({round(bar.get_height(), 6) for bar in bitrates.patches})
    assert heights == [0.325, 1.3]


def test_intervals_are_drawn():
    result = guidance_steps(guidances=(1.0,), steps=(4,))
    figure = draw_sweep(result)
    (segment,) = figure.axes[0].containers[0].lines[2][0].get_segments()
    own = result["rows"][0]["scores"]["average"]["visqol_speech"]
    assert segment[:, 1] == pytest.approx([own["low"], own["high"]])


def test_a_domain_can_be_chosen():
    result = guidance_steps()
    for row in result["rows"]:
        row["scores"]["music"] = {"mel": score(7.0)}
    (axes,) = draw_sweep(result, domain="music").axes
    assert np.allclose(list(lines(axes).values()), 7.0)


def test_what_only_one_row_lacks_is_left_out():
    result = guidance_steps()
    del result["rows"][2]["scores"]["average"]["mel"]
    (axes,) = draw_sweep(result).axes
    assert axes.get_ylabel().startswith("ViSQOL")


@pytest.mark.parametrize(
    ("result", "domain", "text"),
    [
        (guidance_steps(), "birds", "no visqol_speech or mel of the domain birds in every row"),
        (guidance_steps(steps=()), None, "no visqol_speech or mel in every row"),
        (ablation("centroids", [], {}), None, "'centroids' is no sweep .* guidance-steps and voc"),
    ],
)
def test_what_cannot_be_drawn_is_said(result, domain, text):
    with pytest.raises(DataError, match=text):
        draw_sweep(result, domain=domain)


@pytest.mark.parametrize("make", [guidance_steps, vocabulary])
def test_pictures_are_small(make):
    assert 5_000 < len(picture_bytes(draw_sweep(make()), "png")) < 60_000
