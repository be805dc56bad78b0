"""What people read: an aligned table, and the same as a Markdown page."""

from __future__ import annotations

from typing import Any

from benchmarks.modules.official import NUM_STEPS, SAMPLER
from benchmarks.modules.settings import CHANNELS_LAST, CONVOLUTION
from benchmarks.tables import count, seconds_text
from semanticodec.evaluation.tables import plain_table, table

HEADER = (
    "module",
    "seconds",
    "from",
    "to",
    "CPU seconds",
    "GFLOP",
    "GFLOP/s",
    "% of peak",
    "memory MB",
)
NOTICEABLE = 0.1
PEAK_HEADER = ("peak", "precision", "GFLOP/s")


def text_report(report: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    lines = [
        describe_run(report),
        "",
        *plain_table(PEAK_HEADER, peak_rows(report), num_text_columns=2),
        "",
        *plain_table(HEADER, module_rows(report)),
        "",
        *findings(report),
    ]
    return "\n".join(lines) + "\n"


def markdown_report(report: dict[str, Any], picture: str | None = None) -> str:
    """Return the report as a page.

    Args:
        report: result of `run_modules`.
        picture: file name of the picture beside the page, if there is one.
    """
    lines = [
        "# Benchmark",
        "",
        describe_run(report),
        "",
        *table(HEADER, module_rows(report)),
        "",
        *(f"- {line}" for line in findings(report)),
        "",
        *([f"![Where the time goes]({picture})", ""] if picture else []),
        "What this machine reached in the same run:",
        "",
        *table(PEAK_HEADER, peak_rows(report), num_text_columns=2),
        "",
        *(f"- {line}" for line in explanations(report)),
    ]
    return "\n".join(lines) + "\n"


def describe_run(report: dict[str, Any]) -> str:
    """Return a paragraph about model, machine and settings."""
    settings, machine = report["settings"], report["machine"]
    sampling = settings["sampling"]
    where = machine.get("accelerator") if settings["device"].startswith("cuda") else None
    threads = settings["threads"]
    guidance = sampling["guidance_scale"]
    runtime = "" if settings["runtime"] == "torch" else f"runtime {settings['runtime']}, "
    return (
        f"{settings['model']} ({settings['token_rate']} tokens per second) on "
        f"{where or machine['processor']}, "
        f"{count(threads, 'thread')} of {count(machine['cores'], 'core')}, "
        f"{settings['dtype']} after the codes, {runtime}torch {report['versions']['torch']}; "
        "sampler "
        f"{sampling['sampler']} with {count(sampling['num_steps'], 'step')}, "
        f"{'no guidance' if guidance == 1 else f'guidance {guidance:g}'}; "
        f"median of {count(settings['num_runs'], 'run')}; {report['date']}"
    )


def peak_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table of peaks."""
    return [
        (peak["name"], dtype, f"{peak['gflops']:.0f}")
        for dtype, peaks in report["peaks"].items()
        for peak in peaks
    ]


def module_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table of modules."""
    return [_module_row(row) for row in report["modules"]]


def _module_row(row: dict[str, Any]) -> tuple[str, ...]:
    seconds = row["seconds"]
    return (
        module_title(row),
        seconds_text(seconds["median"]),
        seconds_text(seconds["min"]),
        seconds_text(seconds["max"]),
        seconds_text(row["cpu_seconds"]["median"]),
        f"{row['gflop']:.1f}",
        f"{row['gflops']:.0f}",
        f"{100 * row['share_of_peak']:.0f}",
        f"{row['peak_memory_mb']:.0f}",
    )


def module_title(row: dict[str, Any]) -> str:
    """Return what a table calls a module."""
    if row["name"] in ("encode", "decode"):
        return f"{row['title']} {row['audio_seconds']:g} s"
    if row["name"] == "sampler":
        return f"sampler, {count(row['calls']['unet'], 'step')}"
    if row["name"] == "unet" and row["windows"] > 1:
        return "T-UNet, one step with guidance"
    return row["title"]


def findings(report: dict[str, Any]) -> list[str]:
    """Return what the numbers say, a line each."""
    lines = []
    for row in report["modules"]:
        if row["name"] == "sampler":
            own, whole = row["shares"]["sampler"], sum(row["shares"].values())
            lines.append(f"The sampler spends {100 * own / whole:.1f} % outside the T-UNet.")
        if "times_real_time" in row:
            lines.append(
                f"{row['title'].capitalize()}: {row['audio_seconds']:g} s of sound in "
                f"{seconds_text(row['seconds']['median'])} s, "
                f"{row['times_real_time']:.3g} × real time."
            )
    busy = _share_of_other_work(report)
    if report["settings"]["device"] == "cpu" and busy > NOTICEABLE:
        lines.append(
            f"Other work held the processor for at least {100 * busy:.0f} % of the time: measure "
            "again on a quiet machine, or compare CPU seconds."
        )
    if report["official"]:
        lines.append(_comparison(report["official"], report["settings"]))
    return lines


def _share_of_other_work(report: dict[str, Any]) -> float:
    """Return the share of the seconds in which not even one thread of ours was at work."""
    seconds = sum(row["seconds"]["median"] for row in report["modules"])
    return 1 - sum(row["cpu_seconds"]["median"] for row in report["modules"]) / seconds


def _comparison(official: dict[str, Any], settings: dict[str, Any]) -> str:
    sampling = settings["sampling"]
    is_same = (sampling["num_steps"], sampling["sampler"]) == (NUM_STEPS, SAMPLER)
    is_same &= sampling["guidance_scale"] != 1 and tuple(sampling["guidance_interval"]) == (0, 1)
    is_same &= settings["dtype"] == "float32"
    corrected = [
        f"{official['corrected'][name]:.2f} × corrected by the peak of the {name}"
        for name in (CONVOLUTION, CHANNELS_LAST)
        if name in official["corrected"]
    ]
    work = "same steps and precision" if is_same else "with other steps or another precision"
    return (
        f"Decoding is {official['raw']:.2f} × as fast as the official code's "
        f"{official['official_seconds']:g} s ({work}; {official['source']})"
        + "".join(f"; {text}" for text in corrected)
        + "."
    )


def explanations(report: dict[str, Any]) -> list[str]:
    """Return how to read the columns."""
    return [
        "Seconds: median, fastest and slowest run by the wall clock, after one that does not "
        "count. CPU seconds: of all threads; on a machine with other work they say more.",
        "GFLOP: 10⁹ floating-point operations of the plain algorithm, two per multiply-add. Where "
        "the same result needs less work, GFLOP/s shows it.",
        "Peak: the fastest of these products and convolutions in the module's precision, best run: "
        "matrices of 2048 × 2048, and 3 × 3 convolutions of 64 channels on 2 maps of 256 × 16.",
        f"Memory: the most that was held at once ({report['memory_is']}), in 10⁶ bytes.",
        "A module is measured on one window of 10.24 s, a step of the T-UNet with guidance on two.",
        "The sound to encode is synthetic and the codes to decode are random: neither changes "
        "the time.",
    ]
