"""The probe: a two-layer perceptron on frozen features, by HEAR's protocol.

Per round (fold): every point of a small grid is trained once on the training part, with early
stopping on the validation part; the point that validates best is trained again with the other
seeds; each of these networks is tested once. The test part decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.evaluation.semantics.tasks import ACCURACY, MAP, Round


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """The probe's grid and training: HEAR's kind, made smaller for sets of some hundred clips.

    Attributes:
        hidden_sizes: widths of the hidden layer to choose from.
        learning_rates: Adam's, to choose from.
        dropout: share of hidden values that training drops.
        batch_size: clips per step.
        max_epochs: at most so many passes over the training part.
        patience: epochs without a better validation before it stops.
        num_seeds: networks per round.
    """

    hidden_sizes: tuple[int, ...] = (128, 512)
    learning_rates: tuple[float, ...] = (3e-3, 1e-3)
    dropout: float = 0.3
    batch_size: int = 32
    max_epochs: int = 200
    patience: int = 20
    num_seeds: int = 3


@dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """One tested network.

    Attributes:
        round_name: fold, or "test".
        seed: of its weights, order of clips and dropout.
        hidden_size: chosen on the validation part.
        learning_rate: chosen on the validation part.
        valid_score: percent, at the epoch that was kept.
        score: percent, on the test part.
    """

    round_name: str
    seed: int
    hidden_size: int
    learning_rate: float
    valid_score: float
    score: float


@dataclass(frozen=True, kw_only=True)
class _Part:
    features: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class _Trained:
    network: nn.Module
    hidden_size: int
    learning_rate: float
    score: float
    loss: float


def accuracy(scores: Float[Tensor, "N classes"], targets: Float[Tensor, "N classes"]) -> float:
    """Return the share of clips, in percent, whose highest score is one of their classes."""
    right = targets.gather(1, scores.argmax(dim=1, keepdim=True))
    return 100 * right.mean().item()


def mean_average_precision(
    scores: Float[Tensor, "N classes"], targets: Float[Tensor, "N classes"]
) -> float:
    """Return the mean over classes of the average precision, in percent.

    Classes without a clip are left out; clips of one score count at one threshold.
    """
    present = targets.any(dim=0)
    if not present.any():
        return math.nan
    return 100 * float(average_precision_score(targets[:, present], scores[:, present]))


METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    ACCURACY: accuracy,
    MAP: mean_average_precision,
}


def probe(
    features: Float[Tensor, "N D"],
    targets: Float[Tensor, "N classes"],
    rounds: Sequence[Round],
    *,
    metric: str,
    is_multilabel: bool,
    settings: ProbeSettings,
) -> list[ProbeRun]:
    """Train and test the probe in every round.

    Args:
        features: one row per clip.
        targets: 1 for each class of a clip, else 0.
        rounds: which clips are for training, validation and test.
        metric: "accuracy" or "mAP"; it chooses the network and scores it.
        is_multilabel: sigmoid outputs instead of softmax.
        settings: grid and training.
    Returns:
        Rounds x seeds runs; the same for the same arguments.
    Source: paper Sec. IV-C; HEAR (Turian et al. 2022).
    """
    trainer = _Trainer(METRICS[metric], is_multilabel, settings)
    return [
        run
        for one in rounds
        for run in trainer.run_round(one, *_standardized(features.float(), targets.float(), one))
    ]


def majority_score(targets: Float[Tensor, "N classes"], rounds: Sequence[Round]) -> float:
    """Return the accuracy, in percent, of always naming the most frequent training class."""
    scores = []
    for one in rounds:
        frequent = targets[list(one.train)].sum(dim=0).argmax()
        scores.append(targets[list(one.test), frequent].mean().item())
    return 100 * sum(scores) / len(scores)


def _standardized(features: Tensor, targets: Tensor, one: Round) -> tuple[_Part, _Part, _Part]:
    """Return the round's parts, scaled by the mean and standard deviation of its training part."""
    train = features[list(one.train)]
    std = train.std(dim=0, correction=0)
    # A feature that changes by no more than rounding says nothing, whatever it does in other parts.
    scale = torch.where(std > 1e-6 * train.abs().amax(dim=0), 1 / std, 0)
    scaled = (features - train.mean(dim=0)) * scale
    train_part, valid_part, test_part = (
        _Part(features=scaled[list(indices)], targets=targets[list(indices)])
        for indices in (one.train, one.valid, one.test)
    )
    return train_part, valid_part, test_part


class _Trainer:
    """Trains networks on the parts of one round."""

    def __init__(
        self,
        metric: Callable[[Tensor, Tensor], float],
        is_multilabel: bool,
        settings: ProbeSettings,
    ) -> None:
        self.metric = metric
        self.loss = F.binary_cross_entropy_with_logits if is_multilabel else F.cross_entropy
        self.settings = settings

    def run_round(self, one: Round, train: _Part, valid: _Part, test: _Part) -> list[ProbeRun]:
        grid = product(self.settings.hidden_sizes, self.settings.learning_rates)
        first = [self._train(train, valid, hidden, rate, seed=0) for hidden, rate in grid]
        best = max(first, key=lambda trained: (trained.score, -trained.loss))
        others = [
            self._train(train, valid, best.hidden_size, best.learning_rate, seed)
            for seed in range(1, self.settings.num_seeds)
        ]
        return [
            ProbeRun(
                round_name=one.name,
                seed=seed,
                hidden_size=trained.hidden_size,
                learning_rate=trained.learning_rate,
                valid_score=trained.score,
                score=self._evaluate(trained.network, test)[0],
            )
            for seed, trained in enumerate([best, *others])
        ]

    def _train(
        self, train: _Part, valid: _Part, hidden: int, learning_rate: float, seed: int
    ) -> _Trained:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = nn.Sequential(
                nn.Linear(train.features.shape[1], hidden),
                nn.ReLU(),
                nn.Dropout(self.settings.dropout),
                nn.Linear(hidden, train.targets.shape[1]),
            )
            optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
            score, loss = self._fit(network, optimizer, train, valid)
        return _Trained(
            network=network, hidden_size=hidden, learning_rate=learning_rate, score=score, loss=loss
        )

    def _fit(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, train: _Part, valid: _Part
    ) -> tuple[float, float]:
        """Train until validation stops improving; leave the best weights in `network`."""
        best, best_state, waited = (-math.inf, -math.inf), network.state_dict(), 0
        for _ in range(self.settings.max_epochs):
            network.train()
            for indices in torch.randperm(len(train.targets)).split(self.settings.batch_size):
                loss = self.loss(network(train.features[indices]), train.targets[indices])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            score, valid_loss = self._evaluate(network, valid)
            waited += 1
            if (score, -valid_loss) > best:
                best, waited = (score, -valid_loss), 0
                best_state = {key: value.clone() for key, value in network.state_dict().items()}
            if waited >= self.settings.patience:
                break
        network.load_state_dict(best_state)
        return best[0], -best[1]

    @torch.inference_mode()
    def _evaluate(self, network: nn.Module, part: _Part) -> tuple[float, float]:
        network.eval()
        scores = network(part.features)
        return self.metric(scores, part.targets), self.loss(scores, part.targets).item()
