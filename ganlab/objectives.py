"""Adversarial objectives: the losses of discriminator D and generator G as functions of D's output v (a logit or
score).

Every objective is separable: D minimises mean real(v(x)) + mean fake(v(G(z))), and G minimises mean generator(v(G(z))).
Each loss comes with its derivative, so that a training loop may backpropagate by hand, and each objective with the
output of its optimal discriminator D*, where a closed form exists. All functions are elementwise and take tensors of
any shape.
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
    """A loss as a function of v, and its derivative."""

    value: Pointwise
    slope: Pointwise


@dataclass(frozen=True)
class Objective:
    """An adversarial objective.

    real, fake: D's loss on real and on generated data. generator: G's loss. optimal(log_p, log_q): the output v* of the
    optimal discriminator from the log densities of data and generator; None where it depends on more than the two
    densities at a point. probability(v): the probability of "real" that v corresponds to, 0 to 1; None if v has no such
    meaning. formula: LaTeX of D's loss and of G's.
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
        """Scalar, from D's outputs on real and on generated data, of any shapes."""
        return self.real.value(real).mean() + self.fake.value(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Scalar, from D's outputs on generated data, of any shape."""
        return self.generator.value(fake).mean()


def constant(value: float) -> Pointwise:
    """The function that is `value` everywhere."""
    return lambda v: torch.full_like(v, value)


def sigmoid(v: Tensor) -> Tensor:
    """torch.sigmoid, looked up when it is called."""
    return torch.sigmoid(v)


def log_odds(log_p: Tensor, log_q: Tensor) -> Tensor:
    """log(p / q): the logit of p / (p + q)."""
    return log_p - log_q


# Cross-entropy of the logit v, with D = sigmoid(v): -log D = softplus(-v) and -log(1 - D) = softplus(v).
MINUS_LOG_D = Term(lambda v: F.softplus(-v), lambda v: -sigmoid(-v))
MINUS_LOG_NOT_D = Term(lambda v: F.softplus(v), sigmoid)
MINUS_V = Term(lambda v: -v, constant(-1.0))
PLUS_V = Term(lambda v: v, constant(1.0))


def negated(term: Term) -> Term:
    """The loss -term."""
    return Term(lambda v: -term.value(v), lambda v: -term.slope(v))


def squared(target: float) -> Term:
    """(v - target)^2 / 2."""
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
    """D maximises E T(x) - E f*(T(G(z))), a lower bound of the f-divergence, and G minimises it; T = g_f(v).

    real: -T. conjugate: f*(T).
    """
    paper = "Nowozin, Cseke and Tomioka, f-GAN, NeurIPS 2016, tables 1, 2 and 6"
    return Objective(name, title, real, conjugate, negated(conjugate), optimal, probability, formula, paper)


_GOODFELLOW = "Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014"
_D_LOSS = r"-\mathbb{E}\log D(x)-\mathbb{E}\log(1-D(G(z)))"
_WASSERSTEIN = (r"-\mathbb{E}\,v(x)+\mathbb{E}\,v(G(z))", r"-\mathbb{E}\,v(G(z))")

_ALL = (
    Objective(
        name="minimax",
        title="Minimax (saturating)",
        real=MINUS_LOG_D,
        fake=MINUS_LOG_NOT_D,
        generator=negated(MINUS_LOG_NOT_D),
        optimal=log_odds,
        probability=sigmoid,
        formula=(_D_LOSS, r"\mathbb{E}\log(1-D(G(z)))"),
        paper=_GOODFELLOW + ", equation 1",
    ),
    Objective(
        name="non-saturating",
        title="Non-saturating",
        real=MINUS_LOG_D,
        fake=MINUS_LOG_NOT_D,
        generator=MINUS_LOG_D,
        optimal=log_odds,
        probability=sigmoid,
        formula=(_D_LOSS, r"-\mathbb{E}\log D(G(z))"),
        paper=_GOODFELLOW + ", section 3",
    ),
    Objective(
        name="least-squares",
        title="Least squares",
        real=squared(1.0),
        fake=squared(0.0),
        generator=squared(1.0),
        optimal=lambda log_p, log_q: torch.sigmoid(log_p - log_q),
        probability=lambda v: v.clamp(0, 1),
        formula=(
            r"\tfrac12\mathbb{E}(v(x)-1)^2+\tfrac12\mathbb{E}\,v(G(z))^2",
            r"\tfrac12\mathbb{E}(v(G(z))-1)^2",
        ),
        paper="Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017, equation 9",
    ),
    Objective(
        name="wasserstein",
        title="Wasserstein, clipped weights",
        real=MINUS_V,
        fake=PLUS_V,
        generator=MINUS_V,
        optimal=None,
        probability=None,
        formula=_WASSERSTEIN,
        paper="Arjovsky, Chintala and Bottou, Wasserstein GAN, ICML 2017, algorithm 1",
    ),
    Objective(
        name="wgan-gp",
        title="Wasserstein, gradient penalty",
        real=MINUS_V,
        fake=PLUS_V,
        generator=MINUS_V,
        optimal=None,
        probability=None,
        formula=(
            _WASSERSTEIN[0] + r"+\lambda\,\mathbb{E}(\lVert\nabla v(\hat x)\rVert-1)^2",
            _WASSERSTEIN[1],
        ),
        paper="Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, equation 3",
    ),
    Objective(
        name="hinge",
        title="Hinge",
        real=Term(lambda v: F.relu(1 - v), lambda v: -(v < 1).to(v.dtype)),
        fake=Term(lambda v: F.relu(1 + v), lambda v: (v > -1).to(v.dtype)),
        generator=MINUS_V,
        optimal=lambda log_p, log_q: torch.sign(log_p - log_q),
        probability=lambda v: (v.clamp(-1, 1) + 1) / 2,
        formula=(
            r"\mathbb{E}\max(0,1-v(x))+\mathbb{E}\max(0,1+v(G(z)))",
            r"-\mathbb{E}\,v(G(z))",
        ),
        paper="Lim and Ye, Geometric GAN, 2017; Miyato et al., Spectral Normalization, ICLR 2018, equations 16 and 17",
    ),
    f_gan(
        name="kl",
        title="f-GAN: Kullback-Leibler",
        real=MINUS_V,
        conjugate=Term(lambda v: torch.exp(v - 1), lambda v: torch.exp(v - 1)),
        optimal=lambda log_p, log_q: 1 + log_p - log_q,
        probability=lambda v: torch.sigmoid(v - 1),
        formula=(r"-\mathbb{E}\,v(x)+\mathbb{E}\,e^{v(G(z))-1}", r"-\mathbb{E}\,e^{v(G(z))-1}"),
    ),
    f_gan(
        name="reverse-kl",
        title="f-GAN: reverse Kullback-Leibler",
        real=Term(lambda v: torch.exp(-v), lambda v: -torch.exp(-v)),
        conjugate=Term(lambda v: v - 1, constant(1.0)),
        optimal=log_odds,
        probability=sigmoid,
        formula=(r"\mathbb{E}\,e^{-v(x)}+\mathbb{E}\,v(G(z))-1", r"1-\mathbb{E}\,v(G(z))"),
    ),
    f_gan(
        name="jensen-shannon",
        title="f-GAN: Jensen-Shannon",
        real=Term(lambda v: F.softplus(-v) - math.log(2), MINUS_LOG_D.slope),
        conjugate=Term(lambda v: F.softplus(v) - math.log(2), MINUS_LOG_NOT_D.slope),
        optimal=log_odds,
        probability=sigmoid,
        formula=(
            r"-\mathbb{E}\log 2D(x)-\mathbb{E}\log 2(1-D(G(z)))",
            r"\mathbb{E}\log 2(1-D(G(z)))",
        ),
    ),
    f_gan(
        name="pearson",
        title="f-GAN: Pearson chi-squared",
        real=MINUS_V,
        conjugate=Term(lambda v: v * v / 4 + v, lambda v: v / 2 + 1),
        optimal=lambda log_p, log_q: 2 * torch.expm1(log_p - log_q),
        probability=None,
        formula=(
            r"-\mathbb{E}\,v(x)+\mathbb{E}\left[\tfrac14v(G(z))^2+v(G(z))\right]",
            r"-\mathbb{E}\left[\tfrac14v(G(z))^2+v(G(z))\right]",
        ),
    ),
    f_gan(
        name="squared-hellinger",
        title="f-GAN: squared Hellinger",
        real=Term(lambda v: torch.exp(-v) - 1, lambda v: -torch.exp(-v)),
        conjugate=Term(lambda v: torch.expm1(v), lambda v: torch.exp(v)),
        optimal=lambda log_p, log_q: (log_p - log_q) / 2,
        probability=lambda v: torch.sigmoid(2 * v),
        formula=(r"\mathbb{E}\,e^{-v(x)}+\mathbb{E}\,e^{v(G(z))}-2", r"1-\mathbb{E}\,e^{v(G(z))}"),
    ),
)
OBJECTIVES = {objective.name: objective for objective in _ALL}
SMOOTHABLE = ("minimax", "non-saturating", "least-squares")


def get_objective(name: str) -> Objective:
    """The objective with this name. Raises InputError that lists the known names."""
    if name not in OBJECTIVES:
        raise InputError(f'Objective "{name}" is not known; choose from {", ".join(OBJECTIVES)}.')
    return OBJECTIVES[name]


def smoothed(objective: Objective, amount: float) -> Objective:
    """One-sided label smoothing: the label of real data is 1 - amount (Salimans et al., NeurIPS 2016, section 3.4).

    D* becomes (1 - amount) p / (p + q) (Goodfellow, NeurIPS 2016 tutorial, section 4.2). amount: 0 to 0.5. Raises
    InputError for another amount, and for an objective whose targets are not probabilities.
    """
    if not 0 <= amount <= 0.5:
        raise InputError(f"Label smoothing {amount:g} is outside 0-0.5; 0.1 is usual.")
    if not amount:
        return objective
    if objective.name not in SMOOTHABLE:
        raise InputError(
            f"{objective.title} has no labels to smooth; label smoothing needs one of {', '.join(SMOOTHABLE)}."
        )
    as_real, as_fake = objective.real, objective.fake

    def optimal(log_p: Tensor, log_q: Tensor) -> Tensor:
        log_real = math.log(1 - amount) + log_p
        if objective.name == "least-squares":
            return torch.exp(log_real - torch.logaddexp(log_p, log_q))
        return log_real - torch.logaddexp(math.log(amount) + log_p, log_q)

    blended = Term(
        lambda v: (1 - amount) * as_real.value(v) + amount * as_fake.value(v),
        lambda v: (1 - amount) * as_real.slope(v) + amount * as_fake.slope(v),
    )
    return replace(objective, real=blended, optimal=optimal)


def value_function(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E log D(x) + E log(1 - D(G(z))) in nats, from D's logits (..., N), mean over the last axis.

    Goodfellow et al. 2014, equation 1. For D* = p / (p + q) it is 2 JS(p, q) - log 4, and for any other D at most that
    (theorem 1): (V + log 4) / 2 <= JS. At the optimum of both players it is -log 4.
    """
    return F.logsigmoid(real).mean(-1) + F.logsigmoid(-fake).mean(-1)


def gradient_penalty(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """(|grad v| - 1)^2 at points between real and fake, (..., N, features) -> (..., N) (Gulrajani et al. 2017).

    mix: the weight of real, 0 to 1, broadcast.
    """
    return (gradient_norm2(net, fake + mix * (real - fake)).add(1e-12).sqrt() - 1).square()


def gradient_norm2(net: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """|grad v|^2 at every point, (..., N, features) -> (..., N), differentiable.

    Its mean over real data, times gamma / 2, is the R1 penalty (Mescheder, Geiger and Nowozin, ICML 2018, equation 9).
    """
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    return gradient.square().sum(-1)
