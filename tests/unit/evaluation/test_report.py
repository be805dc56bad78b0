"""The report says everything: figures, how to read them, and all that went wrong, by name."""

import csv
import io

from semanticodec.evaluation import report
from semanticodec.evaluation.metrics import METRICS


def estimate(mean, num_clips=2):
    return {"mean": mean, "low": mean - 0.5, "high": mean + 0.5, "num_clips": num_clips}


def results(**more):
    content = {
        "format": 1,
        "kind": "reconstruction",
        "date": "2026-01-02T03:04:05Z",
        "machine": {"processor": "Z80", "cores": 3, "platform": "CP/M"},
        "versions": {"semanticodec": "0.1", "torch": "2.2"},
        "suite": {"name": "small set", "domains": {"music": 2, "speech": 1}, "problems": []},
        "settings": {"metrics": ["mel", "visqol_speech"], "models": {}},
        "systems": [
            {
                "name": "ours",
                "spec": "model,steps=5",
                "details": {"steps": 5},
                "num_clips": 3,
                "failures": [],
                "warnings": [],
                "scores": {
                    "music": {"mel": estimate(1.25), "bits_per_second": estimate(1350.0)},
                    "speech": {"mel": estimate(2, 1), "visqol_speech": estimate(3.456, 1)},
                    "average": {"mel": estimate(1.6, 3)},
                },
            },
            {
                "name": "a|b",
                "spec": "a|b",
                "details": {},
                "num_clips": 3,
                "failures": [{"clip": "music/2", "error": "it broke"}],
                "warnings": [
                    *({"clip": f"music/{i}", "warning": "resampled"} for i in (1, 2, 3)),
                    {"clip": "music/1", "warning": "7 samples were cut"},
                ],
                "scores": {},
            },
        ],
        "differences": [
            {"system": "a|b", "baseline": "ours", "domain": "music", "metric": "mel"}
            | estimate(-0.1)
        ],
        "clips": [
            {"system": "ours", "domain": "music", "clip": "music/1", "num_samples": 9, "mel": 1.0},
            {"system": "ours", "domain": "speech", "clip": "s", "num_samples": 8, "stoi": 0.5},
        ],
    }
    return {**content, **more}


def section(text, title):
    return text.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def test_every_domain_has_its_table_with_intervals():
    text = report.markdown(results())
    assert section(text, "music (2 clips)").splitlines() == [
        "| system | clips | kbps | mel ↓ | visqol_speech ↑ |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours | 2 | 1.350 | 1.250 [0.750, 1.750] | – |",
        "| a\\|b | 0 | – | – | – |",
    ]
    assert "| ours | 1 | – | 2.000 [1.500, 2.500] | 3.46 [2.96, 3.96] |" in section(
        text, "speech (1 clip)"
    )
    assert "| ours | 3 | – | 1.600 [1.100, 2.100] | – |" in section(text, "Average")


def test_the_reader_learns_where_figures_come_from_and_what_they_compare_with():
    text = report.markdown(results())
    assert "# Reconstruction: small set" in text
    assert "2026-01-02T03:04:05Z on Z80 (3 cores, CP/M) with semanticodec 0.1, torch 2.2." in text
    assert "not on the scale of the paper's tables" in text
    assert "`visqol_speech` (speech mode, 16 kHz) is the number to compare" in text
    assert "mean of the domains music, speech" in text
    assert "WER" not in text
    spoken = {"metrics": ["mel", "wer"], "models": {"wer": "pocketsphinx"}}
    content = results(settings=spoken)
    content["systems"][0]["scores"]["speech"]["wer"] = estimate(12.345)
    text = report.markdown(content)
    assert "as `pocketsphinx` finds them" in text
    assert "of all words or frames of the clips together: wer." in text
    assert "mel ↓ | wer % ↓ |" in text and "| 12.3 [11.8, 12.8] |" in text


def test_families_share_a_table_as_long_as_they_fit_and_have_a_number():
    families = ("sound", "speech", "dnsmos", "detail")
    names = [name for name, metric in METRICS.items() if metric.family in families]
    content = results(settings={"metrics": names, "models": {}})
    (ours, _) = content["systems"]
    ours["scores"] = {
        "music": {"mel": estimate(1.25), "detail_0": estimate(0.5)},
        "speech": {name: estimate(1) for name in names},
    }
    heads = [
        line.split(" | ")[3:]
        for line in section(report.markdown(content), "speech (1 clip)").splitlines()
        if line.startswith("| system")
    ]
    assert [len(head) for head in heads] == [9, 3, 8]
    assert heads[1] == ["dnsmos_ovrl ↑", "dnsmos_sig ↑", "dnsmos_p808 ↑ |"]
    music = section(report.markdown(content), "music (2 clips)")
    assert music.count("| system") == 2 and "stoi" not in music
    assert report.table(content).count("\nsystem ") == 5


def test_differences_carry_signs_and_their_baseline():
    text = section(report.markdown(results()), "Differences from ours")
    assert "| a\\|b | music | 2 | −0.100 [−0.600, +0.400] | – |" in text


def test_systems_are_described():
    text = section(report.markdown(results()), "Systems")
    assert "- **ours** is `model,steps=5`: steps 5" in text
    assert "- **a|b**" in text


def test_everything_that_went_wrong_is_named():
    suite = {"name": "x", "domains": {"music": 2, "speech": 1}, "problems": ["a row is lost"]}
    text = report.markdown(results(suite=suite))
    assert section(text, "Problems of the suite") == "- a row is lost"
    failures = section(text, "Failures")
    assert "a|b failed on 1 of 3 clips:\n\n- music/2: it broke" in failures
    warnings = section(text, "Warnings")
    assert "- resampled: every clip" in warnings
    assert "- 7 samples were cut: music/1" in warnings


def test_a_run_without_trouble_says_nothing_of_it():
    content = results()
    content["systems"] = content["systems"][:1]
    content["differences"] = []
    text = report.markdown(content)
    assert not any(word in text for word in ("Failures", "Warnings", "Problems", "Differences"))


def test_the_terminal_gets_means_in_columns():
    lines = report.table(results()).splitlines()
    assert lines[:4] == [
        "music (2 clips)",
        "system  clips   kbps  mel ↓  visqol_speech ↑",
        "ours        2  1.350  1.250                –",
        "a|b         0      –      –                –",
    ]
    assert lines[-1] == "a|b failed on 1 of 3 clips"


def test_the_csv_holds_every_figure_of_every_clip():
    rows = list(csv.DictReader(io.StringIO(report.clips_csv(results()))))
    assert list(rows[0]) == ["system", "domain", "clip", "num_samples", "mel", "stoi"]
    assert (rows[0]["mel"], rows[0]["stoi"]) == ("1.0", "")
    assert (rows[1]["mel"], rows[1]["stoi"]) == ("", "0.5")


def test_metrics_that_could_not_be_computed_are_named():
    settings = {**results()["settings"], "skipped": {"stoi": "pystoi cannot be imported"}}
    text = section(report.markdown(results(settings=settings)), "Metrics that were skipped")
    assert text.strip() == "- stoi: pystoi cannot be imported"
