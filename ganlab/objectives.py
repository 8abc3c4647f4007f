"""The adversarial games: what discriminator and generator minimise, as functions of the discriminator's output v.

Every game here is separable: D's loss is mean real(v(x)) + mean fake(v(G(z))), G's loss is mean generator(v(G(z))).
Each function comes with its derivative, so that a training loop may go backwards by hand, and each game with the
output of its own optimal discriminator, where a closed form exists. All functions are elementwise, any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ganlab.errors import InputError
from ganlab.lazy import F, Tensor, torch

Pointwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Term:
    """A loss of the discriminator's output, and its derivative."""

    value: Pointwise
    slope: Pointwise


@dataclass(frozen=True)
class Objective:
    """real, fake: D's loss on real and generated data. generator: G's loss.

    optimal(log_p, log_q): the output v* of the optimal discriminator from the log densities of data and generator; None
    where it depends on more than the two densities at a point. probability(v): what v says of "real", 0 to 1; None
    where it says nothing of the kind. formula: LaTeX, D's loss and G's.
    """

    name: str
    title: str
    real: Term
    fake: Term
    generator: Term
    optimal: Callable[[Tensor, Tensor], Tensor] | None
    probability: Pointwise | None
    formula: tuple[str, str]
    paper: str

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar, from outputs on real and on generated data, of any shapes."""
        return self.real.value(real).mean() + self.fake.value(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Scalar, from outputs on generated data."""
        return self.generator.value(fake).mean()


def constant(value: float) -> Pointwise:
    return lambda v: torch.full_like(v, value)


def sigmoid(v: Tensor) -> Tensor:
    return torch.sigmoid(v)


def _log_odds(log_p: Tensor, log_q: Tensor) -> Tensor:
    return log_p - log_q


# Cross-entropy of a logit v, D = sigmoid(v): -log D is softplus(-v), -log(1 - D) is softplus(v).
CALL_REAL = Term(lambda v: F.softplus(-v), lambda v: -sigmoid(-v))
CALL_FAKE = Term(lambda v: F.softplus(v), sigmoid)
RISE = Term(lambda v: -v, constant(-1.0))
FALL = Term(lambda v: v, constant(1.0))


def negated(term: Term) -> Term:
    return Term(lambda v: -term.value(v), lambda v: -term.slope(v))


def squared(target: float) -> Term:
    return Term(lambda v: (v - target).square() / 2, lambda v: v - target)


def f_gan(
    name: str,
    title: str,
    real: Term,
    conjugate: Term,
    optimal: Callable[[Tensor, Tensor], Tensor],
    probability: Pointwise | None,
    formula: tuple[str, str],
) -> Objective:
    """D maximises E T(x) - E f*(T(G(z))), a lower bound of the divergence; G minimises it. T = g_f(v)."""
    paper = "Nowozin, Cseke and Tomioka, f-GAN, NeurIPS 2016, tables 1, 2 and 6"
    return Objective(name, title, real, conjugate, negated(conjugate), optimal, probability, formula, paper)


_GOODFELLOW = "Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014"
_D_LOSS = r"-\mathbb{E}\log D(x)-\mathbb{E}\log(1-D(G(z)))"
_WASSERSTEIN = (r"-\mathbb{E}\,v(x)+\mathbb{E}\,v(G(z))", r"-\mathbb{E}\,v(G(z))")

_ALL = (
    Objective(
        "minimax",
        "Minimax (saturating)",
        CALL_REAL,
        CALL_FAKE,
        negated(CALL_FAKE),
        _log_odds,
        sigmoid,
        (_D_LOSS, r"\mathbb{E}\log(1-D(G(z)))"),
        _GOODFELLOW + ", equation 1",
    ),
    Objective(
        "non-saturating",
        "Non-saturating",
        CALL_REAL,
        CALL_FAKE,
        CALL_REAL,
        _log_odds,
        sigmoid,
        (_D_LOSS, r"-\mathbb{E}\log D(G(z))"),
        _GOODFELLOW + ", section 3",
    ),
    Objective(
        "least-squares",
        "Least squares",
        squared(1.0),
        squared(0.0),
        squared(1.0),
        lambda log_p, log_q: torch.sigmoid(log_p - log_q),
        lambda v: v.clamp(0, 1),
        (
            r"\tfrac12\mathbb{E}(v(x)-1)^2+\tfrac12\mathbb{E}\,v(G(z))^2",
            r"\tfrac12\mathbb{E}(v(G(z))-1)^2",
        ),
        "Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017, equation 9",
    ),
    Objective(
        "wasserstein",
        "Wasserstein, clipped weights",
        RISE,
        FALL,
        RISE,
        None,
        None,
        _WASSERSTEIN,
        "Arjovsky, Chintala and Bottou, Wasserstein GAN, ICML 2017, algorithm 1",
    ),
    Objective(
        "wgan-gp",
        "Wasserstein, gradient penalty",
        RISE,
        FALL,
        RISE,
        None,
        None,
        (
            _WASSERSTEIN[0] + r"+\lambda\,\mathbb{E}(\lVert\nabla v(\hat x)\rVert-1)^2",
            _WASSERSTEIN[1],
        ),
        "Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, equation 3",
    ),
    Objective(
        "hinge",
        "Hinge",
        Term(lambda v: F.relu(1 - v), lambda v: -(v < 1).to(v.dtype)),
        Term(lambda v: F.relu(1 + v), lambda v: (v > -1).to(v.dtype)),
        RISE,
        lambda log_p, log_q: torch.sign(log_p - log_q),
        lambda v: (v.clamp(-1, 1) + 1) / 2,
        (
            r"\mathbb{E}\max(0,1-v(x))+\mathbb{E}\max(0,1+v(G(z)))",
            r"-\mathbb{E}\,v(G(z))",
        ),
        "Lim and Ye, Geometric GAN, 2017; Miyato et al., Spectral Normalization, ICLR 2018, equations 16 and 17",
    ),
    f_gan(
        "kl",
        "f-GAN: Kullback-Leibler",
        RISE,
        Term(lambda v: torch.exp(v - 1), lambda v: torch.exp(v - 1)),
        lambda log_p, log_q: 1 + log_p - log_q,
        lambda v: torch.sigmoid(v - 1),
        (r"-\mathbb{E}\,v(x)+\mathbb{E}\,e^{v(G(z))-1}", r"-\mathbb{E}\,e^{v(G(z))-1}"),
    ),
    f_gan(
        "reverse-kl",
        "f-GAN: reverse Kullback-Leibler",
        Term(lambda v: torch.exp(-v), lambda v: -torch.exp(-v)),
        Term(lambda v: v - 1, constant(1.0)),
        _log_odds,
        sigmoid,
        (r"\mathbb{E}\,e^{-v(x)}+\mathbb{E}\,v(G(z))-1", r"1-\mathbb{E}\,v(G(z))"),
    ),
    f_gan(
        "jensen-shannon",
        "f-GAN: Jensen-Shannon",
        Term(lambda v: F.softplus(-v) - math.log(2), CALL_REAL.slope),
        Term(lambda v: F.softplus(v) - math.log(2), CALL_FAKE.slope),
        _log_odds,
        sigmoid,
        (
            r"-\mathbb{E}\log 2D(x)-\mathbb{E}\log 2(1-D(G(z)))",
            r"\mathbb{E}\log 2(1-D(G(z)))",
        ),
    ),
    f_gan(
        "pearson",
        "f-GAN: Pearson chi-squared",
        RISE,
        Term(lambda v: v * v / 4 + v, lambda v: v / 2 + 1),
        lambda log_p, log_q: 2 * torch.expm1(log_p - log_q),
        None,
        (
            r"-\mathbb{E}\,v(x)+\mathbb{E}\left[\tfrac14v(G(z))^2+v(G(z))\right]",
            r"-\mathbb{E}\left[\tfrac14v(G(z))^2+v(G(z))\right]",
        ),
    ),
    f_gan(
        "squared-hellinger",
        "f-GAN: squared Hellinger",
        Term(lambda v: torch.exp(-v) - 1, lambda v: -torch.exp(-v)),
        Term(lambda v: torch.expm1(v), lambda v: torch.exp(v)),
        lambda log_p, log_q: (log_p - log_q) / 2,
        lambda v: torch.sigmoid(2 * v),
        (r"\mathbb{E}\,e^{-v(x)}+\mathbb{E}\,e^{v(G(z))}-2", r"1-\mathbb{E}\,e^{v(G(z))}"),
    ),
)
OBJECTIVES = {objective.name: objective for objective in _ALL}
SMOOTHABLE = ("minimax", "non-saturating", "least-squares")


def get_objective(name: str) -> Objective:
    if name not in OBJECTIVES:
        raise InputError(f'Objective "{name}" is not known; choose from {", ".join(OBJECTIVES)}.')
    return OBJECTIVES[name]


def smoothed(objective: Objective, amount: float) -> Objective:
    """One-sided label smoothing: real data is real with probability 1 - amount (Salimans et al., NeurIPS 2016, 3.4).

    D* becomes (1 - amount) p / (p + q) (Goodfellow, NeurIPS 2016 tutorial, section 4.2). amount: 0 to 0.5. Raises
    InputError for a game whose targets are not probabilities.
    """
    if not 0 <= amount <= 0.5:
        raise InputError(f"Label smoothing {amount:g} is outside 0-0.5; 0.1 is usual.")
    if not amount:
        return objective
    if objective.name not in SMOOTHABLE:
        raise InputError(
            f"{objective.title} has no labels to smooth; label smoothing goes with {', '.join(SMOOTHABLE)}."
        )
    keep, swap = objective.real, objective.fake

    def optimal(log_p: Tensor, log_q: Tensor) -> Tensor:
        real = math.log(1 - amount) + log_p
        if objective.name == "least-squares":
            return torch.exp(real - torch.logaddexp(log_p, log_q))
        return real - torch.logaddexp(math.log(amount) + log_p, log_q)

    blended = Term(
        lambda v: (1 - amount) * keep.value(v) + amount * swap.value(v),
        lambda v: (1 - amount) * keep.slope(v) + amount * swap.slope(v),
    )
    return replace(objective, real=blended, optimal=optimal)


def value_function(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E log D(x) + E log(1 - D(G(z))) in nats, from D's logits, mean over the last axis.

    Goodfellow et al. 2014, equation 1. At the optimum of both -log 4; for D* = p / (p + q) it is 2 JS(p, q) - log 4,
    and for any D at most that (theorem 1), hence (V + log 4) / 2 <= JS.
    """
    return F.logsigmoid(real).mean(-1) + F.logsigmoid(-fake).mean(-1)


def gradient_penalty(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """(|grad v| - 1)^2 at points (..., N, features) between real and fake (Gulrajani et al. 2017) -> (..., N).

    mix: the shares of real, broadcast.
    """
    return (gradient_norm2(net, fake + mix * (real - fake)).add(1e-12).sqrt() - 1).square()


def gradient_norm2(net: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """|grad v|^2 at every point (..., N, features) -> (..., N), differentiable. Its mean over real data, times
    gamma / 2, is the R1 penalty (Mescheder, Geiger and Nowozin, ICML 2018, equation 9)."""
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    return gradient.square().sum(-1)
