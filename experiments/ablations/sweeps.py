"""Sweeps over the settings of one model (paper Figures 6 and 7): nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from experiments.ablations.variant import Outcome, Variant
from semanticodec.checkpoints.pretrained import model_folder, read_index, read_setting

DEFAULT_GUIDANCES = (1.0, 2.0, 3.0, 5.0)
DEFAULT_STEPS = (4, 10, 25, 50)


def guidance_steps(
    model: str | None,
    *,
    token_rate: int | None = None,
    guidances: Sequence[float] = DEFAULT_GUIDANCES,
    steps: Sequence[int] = DEFAULT_STEPS,
) -> Outcome:
    """Return the grid of Figure 6.

    Args:
        model: folder or Hub id; None for the built-in one.
        token_rate: tokens per second; None for the model's own.
        guidances: guidance scales; 1 is without guidance.
        steps: numbers of sampling steps.
    Source: paper Sec. V-C, "DDIM Sampling Setups".
    """
    rate = {} if token_rate is None else {"rate": token_rate}
    variants = [
        Variant(
            label=f"guidance {guidance:g} in {count} steps",
            settings={"guidance": guidance, "steps": count, **rate},
            model=model,
            options={**rate, "guidance": f"{guidance:g}", "steps": count},
        )
        for guidance, count in product(dict.fromkeys(guidances), dict.fromkeys(steps))
    ]
    return Outcome(variants=tuple(variants))


def vocabulary(model: str | None, *, token_rate: int | None = None) -> Outcome:
    """Return every semantic vocabulary of a model, at every token rate (Figure 7).

    Args:
        model: folder or Hub id; None for the built-in one.
        token_rate: tokens per second; None for all that the model has.
    Raises:
        CheckpointError: no such model.
        ConfigError: the model lacks the rate.
    Source: paper Sec. V-C, "Variable Semantic Codebook Size".
    """
    folder = model_folder(model)
    rates = read_index(folder)["token_rates"] if token_rate is None else [token_rate]
    variants = []
    for rate in sorted(map(int, rates), reverse=True):
        config, _ = read_setting(folder, rate)
        for size in sorted(config.encoder.semantic.vocab_sizes):
            variants.append(
                Variant(
                    label=f"{size} entries at {rate} tokens per second",
                    settings={"rate": rate, "vocab": size},
                    model=model,
                    options={"rate": rate, "vocab": size},
                )
            )
    return Outcome(variants=tuple(variants))
