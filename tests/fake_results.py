"""Results files of every kind with made-up numbers, as `evaluate` writes them."""

import json

ORIGIN = {
    "format": 2,
    "date": "2026-01-02T03:04:05Z",
    "machine": {"processor": "Abacus 9", "cores": 2, "platform": "Linux x86_64"},
    "versions": {"semanticodec": "0.1.0", "python": "3.11.0"},
}
FINGERPRINT = "00112233aabbccdd"
TASKS = ("esc", "pitch")


def score(mean, half_width=0.1):
    return {
        "mean": mean,
        "low": mean - half_width,
        "high": mean + 1.5 * half_width,
        "num_clips": 4,
    }


def system(name, *, visqol, bits_per_second=None, **more):
    """Return a system of two domains, whose speech also has STOI and word errors."""
    own = {"mel": score(5 - visqol), "visqol_speech": score(visqol)}
    if bits_per_second is not None:
        own["bits_per_second"] = score(bits_per_second, 0.0)
    scores = {
        "music": own,
        "speech": {**own, "stoi": score(0.8, 0.01), "wer": score(12.5, 2.0)},
        "average": own,
    }
    return {
        "name": name,
        "spec": name,
        "details": {},
        "num_clips": 8,
        "failures": [],
        "warnings": [],
        "scores": scores,
        **more,
    }


def reconstruction(*systems):
    baseline, *others = systems
    return {
        **ORIGIN,
        "kind": "reconstruction",
        "suite": {
            "name": "tiny-suite",
            "domains": {"music": 4, "speech": 4},
            "problems": ["transcripts.tsv names gone.wav, which is not there"],
        },
        "settings": {
            "metrics": ["mel", "visqol_speech", "stoi", "wer"],
            "models": {"wer": "parrot"},
            "bootstrap_samples": 2000,
            "seed": 0,
        },
        "systems": list(systems),
        "differences": [
            {
                "system": other["name"],
                "baseline": baseline["name"],
                "domain": "speech",
                "metric": "mel",
                **score(-0.42, 0.2),
            }
            for other in others
        ],
        "clips": [],
    }


def semantics(**accuracies):
    """Return the results of features with one accuracy per task each: features=(esc, pitch)."""
    return {
        **ORIGIN,
        "kind": "semantics",
        "settings": {"probe": {"seeds": 3}, "limit": None},
        "tasks": [
            {
                "name": task,
                "num_classes": 5,
                "num_clips": 50,
                "metric": "accuracy",
                "folds": ["1", "2"],
                "test_folds": ["2"],
                "majority": 20.0,
                "problems": [],
                "rounds": [],
            }
            for task in TASKS
        ],
        "scores": [
            {
                "features": features,
                "task": task,
                "metric": "accuracy",
                "mean": mean,
                "std": 1.5,
                "runs": [mean - 1.5, mean + 1.5],
                "bits_per_second": 1300.0,
                "details": {
                    "fingerprint": FINGERPRINT,
                    "token_rate": 100,
                    "semantic_vocab_size": 8192,
                    "layers": "all",
                },
            }
            for features, means in accuracies.items()
            for task, mean in zip(TASKS, means)
        ],
        "failures": [],
    }


def ablation(name, rows, paper):
    return {
        **ORIGIN,
        "kind": "ablations",
        "name": name,
        "paper": paper,
        "suite": {"name": "tiny-suite"},
        "settings": {"model": "built-in"},
        "rows": rows,
        "failures": [],
    }


def guidance_steps(guidances=(1.0, 3.0), steps=(4, 10, 25)):
    rows = [
        {
            "label": f"guidance {guidance:g} in {count} steps",
            "settings": {"guidance": guidance, "steps": count},
            "scores": system("", visqol=2 + count / 50 - guidance / 9)["scores"],
        }
        for guidance in guidances
        for count in steps
    ]
    return ablation("guidance-steps", rows, {"figure": "6"})


def vocabulary(rates=(100, 50), vocabularies=(4096, 8192)):
    rows = [
        {
            "label": f"{vocab} entries at {rate} tokens per second",
            "settings": {"rate": rate, "vocab": vocab},
            "scores": system("", visqol=2 + rate / 100, bits_per_second=rate * 13)["scores"],
        }
        for rate in rates
        for vocab in vocabularies
    ]
    return ablation("vocabulary", rows, {"figure": "7"})


def code_use():
    use = {
        "codebook_size": 8192,
        "num_codes": 2000,
        "used": 1024,
        "share_used": 0.125,
        "perplexity": 512.0,
        "nominal_bits": 13.0,
        "entropy_bits": 9.0,
        "conditional_entropy_bits": 0.5,
        "adaptive_bits": 12.5,
        "adaptive_bits_given_previous": 11.0,
        "rank_counts": [[1, 90], [32, 9], [1024, 1]],
    }
    domain = {"num_clips": 4, "semantic": use, "acoustic": {**use, "used": 2048}}
    return {
        **ORIGIN,
        "kind": "code-use",
        "model": {
            "name": "built-in",
            "fingerprint": FINGERPRINT,
            "token_rate": 100,
            "semantic_vocab_size": 8192,
            "acoustic_vocab_size": 8192,
            "bits_per_second": 1300.0,
        },
        "suite": "tiny-suite",
        "domains": {"music": domain, "speech": domain, "all": domain},
        "failures": [{"clip": "music/broken", "error": "it is not readable audio"}],
    }


def write(folder, **contents):
    """Write NAME=content as NAME.json (with - for _) and return the paths in that order."""
    paths = []
    for name, content in contents.items():
        paths.append(folder / f"{name.replace('_', '-')}.json")
        paths[-1].write_text(json.dumps(content))
    return paths
