"""Adaptive branching: at each node, a new answer or a revision of an old one, by Thompson sampling."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import BestScore
from thinkctl.strategies.tree import Node, ask_below, passed, tree_of
from thinkctl.types import History, Needs, Request, Sampling

__all__ = ["AdaptiveBranching"]

Prior = Literal["beta", "normal"]


@final
@dataclass(frozen=True)
class AdaptiveBranching:
    """Search a tree of answers and revisions that decides by itself whether to go wider or deeper.

    At each node one value is drawn for a new child and one for going on below the children there are, each from what is
    known of the scores that this has brought; the higher one is done. Below the children one is chosen in the same way.
    A child of the root is a draft, any other child a revision of its parent with the verifier's feedback. Scores are in
    [0, 1]; ``prior`` is ``"beta"`` (1/2, 1/2), for checks that pass or fail, or ``"normal"``: normal-inverse-gamma with
    mean 0, kappa 1, nu 1 and tau squared 0.1.

    ``models`` are the engines to choose from, by the scores that each has brought; none is the controller's first.
    ``prices`` are what a token of each costs, in any unit. With ``per_token`` what is drawn is divided by what it is
    expected to cost: the mean tokens of its kind so far times the price, so a cheap model is asked more often. Without
    it samples count alike, as in the paper.

    ``at_once`` samples run at the same time; one that still grows counts as a score of 0. The search ends when an
    answer passes its check (``verdict.passed``) or after ``n`` samples; the best-scored answer wins. ``think=False``
    asks for answers without reasoning.

    Source: AB-MCTS-A, Inoue et al. 2025 (arXiv:2503.04412), section 3.3, and SakanaAI/treequest for the model's choice
    ("multiarm_bandit_thompson"). Deviation: ``per_token``.
    """

    n: int = 16
    prior: Prior = "normal"
    models: tuple[str, ...] = ()
    prices: tuple[float, ...] = ()
    per_token: bool = True
    at_once: int = 1
    think: bool = True
    sampling: Sampling = Sampling(temperature=0.8)

    def __post_init__(self) -> None:
        for name, value in (("n", self.n), ("at_once", self.at_once)):
            if value < 1:
                raise ConfigurationError(f"{name}={value!r} searches nothing; give 1 or more")
        if self.prior not in _DRAWS:
            raise ConfigurationError(
                f"prior={self.prior!r} is not known; use one of {', '.join(map(repr, _DRAWS))}"
            )
        if len(set(self.models)) < len(self.models) or not all(self.models):
            raise ConfigurationError(f"models={self.models!r} names one twice, or none; name each once")
        if self.prices and len(self.prices) != len(self.models):
            raise ConfigurationError(
                f"prices={self.prices!r} are not one for each of models={self.models!r}; give as many, or none"
            )
        if not all(math.isfinite(price) and price > 0 for price in self.prices):
            raise ConfigurationError(
                f"prices={self.prices!r} must be above 0: they divide what a model is worth"
            )

    @property
    def needs(self) -> Needs:
        """A score of every answer."""
        return Needs(scores=True, why="adaptive-branching")

    @property
    def selector(self) -> Selector:
        return BestScore()

    def propose(self, history: History) -> Sequence[Request]:
        free = min(self.n - history.bought, self.at_once - len(history.in_flight))
        if passed(history.samples):
            return ()
        root, requests = tree_of(history.samples), list[Request]()
        for place in range(max(0, free)):
            dice = random.Random(f"{history.seed}:{history.bought + place}")
            node, model = self._choose(root, dice)
            requests.append(ask_below(node, history, self.sampling, model, think=self.think))
            node.grow(model)
        return requests

    def _choose(self, root: Node, dice: random.Random) -> tuple[Node, str | None]:
        """Return the node that gets a child, and the model that is asked for it."""
        everything = list(root.below())

        def draw(nodes: Sequence[Node], like: Sequence[Node], price: float | None = None) -> float:
            """Draw what going on in this way is worth; ``like`` are the nodes whose tokens it is going to cost."""
            value = _DRAWS[self.prior](dice, [node.score for node in nodes])
            if not self.per_token:
                return value
            cost = self._cost(like, price) or self._cost(everything, price) or 1.0
            return value / cost if value > 0 else value * cost

        node = root
        while children := [child for child in node.children if child.can_be_revised]:
            deeper = [below for child in node.children for below in child.below()]
            wider = draw(node.children, node.children)
            if wider >= draw(deeper, deeper):
                break
            branches = [list(child.below()) for child in children]
            node = children[_best([draw(branch, branch) for branch in branches])]
        if not self.models:
            return node, None
        prices = self.prices or (1.0,) * len(self.models)
        own = [[each for each in everything if each.model == model] for model in self.models]
        values = [draw(nodes, nodes, price) for nodes, price in zip(own, prices, strict=True)]
        return node, self.models[_best(values)]

    def _cost(self, nodes: Sequence[Node], price: float | None) -> float | None:
        """Return what samples like these cost, at the price of a token or else at that of each one's model."""
        prices = dict(zip(self.models, self.prices, strict=False))
        costs = [
            max(1, node.sample.usage.generated_tokens) * (price or prices.get(node.model or "", 1.0))
            for node in nodes
            if node.sample is not None and node.sample.finished
        ]
        return math.fsum(costs) / len(costs) if costs else None


def _best(values: Sequence[float]) -> int:
    """Return the place of the highest value, the first of equals."""
    return values.index(max(values))


def _draw_beta(dice: random.Random, scores: Sequence[float]) -> float:
    good = math.fsum(scores)
    return dice.betavariate(0.5 + good, 0.5 + len(scores) - good)


def _draw_normal(dice: random.Random, scores: Sequence[float]) -> float:
    """Draw a mean from the normal-inverse-gamma posterior (Murphy 2023, Advanced Topics, section 3.4.3.3)."""
    mean, kappa, nu, tau_squared = 0.0, 1.0, 1.0, 0.1
    if n := len(scores):
        average = math.fsum(scores) / n
        spread = math.fsum((score - average) ** 2 for score in scores)
        tau_squared = (nu * tau_squared + spread + n * kappa * (mean - average) ** 2 / (kappa + n)) / (nu + n)
        mean, kappa, nu = (kappa * mean + n * average) / (kappa + n), kappa + n, nu + n
    variance = nu * tau_squared / dice.gammavariate(nu / 2, 2.0)  # nu tau^2 / chi-squared(nu)
    return dice.gauss(mean, math.sqrt(variance / kappa))


_DRAWS: Final[Mapping[Prior, Callable[[random.Random, Sequence[float]], float]]] = {
    "beta": _draw_beta,
    "normal": _draw_normal,
}
