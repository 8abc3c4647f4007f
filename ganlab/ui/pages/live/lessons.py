"""The lessons of the Live GAN page, in the order of the lectures: description and settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ONE, TWINS, EIGHT = "One run", "Twins", "Eight seeds"

# How a twin may differ: title -> controls that change.
CHANGES: dict[str, dict] = {
    "Minimax (saturating)": {"objective": "minimax"},
    "Non-saturating": {"objective": "non-saturating"},
    "Least squares": {"objective": "least-squares"},
    "Hinge": {"objective": "hinge"},
    "Wasserstein, clipped, k = 5": {"objective": "wasserstein", "d_steps": 5},
    "Wasserstein with gradient penalty, k = 5": {"objective": "wgan-gp", "d_steps": 5},
    "Five steps of D (k = 5)": {"d_steps": 5},
    "Simultaneous turns": {"play": "simultaneous"},
    "Extragradient": {"play": "extragradient"},
    "Optimistic Adam": {"play": "optimistic"},
    "Consensus optimisation": {"play": "consensus"},
    "Unrolled, 5 steps": {"play": "unrolled", "unroll": 5},
    "R1 penalty": {"r1": 0.1},
    "Spectral norm on D": {"d_spectral": True},
    "Minibatch discrimination": {"minibatch": True},
    "Feature matching": {"feature_matching": True},
    "Virtual batch normalisation": {"virtual_batch_norm": True},
    "Instance noise": {"instance_noise": 0.2},
    "Label smoothing": {"smoothing": 0.1},
    "Labels for both": {"conditional": True},
    "RMSprop": {"optimiser": "rmsprop"},
    "No momentum (beta 1 = 0)": {"beta1": 0.0},
    "Heavy momentum (beta 1 = .9)": {"beta1": 0.9},
}


@dataclass(frozen=True)
class Lesson:
    """A title and a few sentences, with the settings that show it."""

    title: str
    text: str  # about three sentences
    settings: dict = field(default_factory=dict)  # controls that differ from their defaults
    layers: tuple[str, ...] = ("real", "fake", "heat")  # what is drawn

    @property
    def slug(self) -> str:
        """The name in links, ?tab=toy&lesson=SLUG: the words of the title."""
        return "-".join(re.findall(r"[a-z]+", self.title.lower()))


COLLAPSE = {"rate_g": 2e-3, "rate_d": 3e-4}

LESSONS = (
    Lesson(
        "One dimension, step by step",
        "The generator maps noise z, at the bottom, to data x: where its lines crowd together, p_g is high. D starts "
        "flat, rises where p exceeds p_g, and pulls the lines there; the best D is D* = p / (p + p_g), dotted. "
        "Where the two densities are equal, D can only say one half.",
        {"data": "gaussians-1d", "latent": 1, "noise": "uniform", "rate_g": 5e-4, "rate_d": 5e-4, "d_steps": 3},
        ("real", "fake", "heat", "optimum", "warp"),
    ),
    Lesson(
        "A ring is learned",
        "Eight Gaussians on a circle are the usual first test: does a generator find every mode? Press Play and watch "
        "D's view chase the orange points, which move away from the vermilion regions. A circle becomes solid once its "
        "mode gets at least a quarter of its fair share of samples.",
    ),
    Lesson(
        "Losses that oscillate",
        "With heavy momentum both players overshoot: modes are found, lost and found again. The loss curves swing and "
        "say nothing about quality, because each loss only measures one player against the other. Watch the "
        "Jensen-Shannon divergence instead: it compares samples with the true density.",
        {"beta1": 0.9},
    ),
    Lesson(
        "The vanishing gradient",
        "Both twins face a D that trains five times as often and soon recognises all fakes. On the left, G descends "
        "log(1 - D), whose slope vanishes exactly where D is sure: most arrows are gone. On the right, G ascends "
        "log D: the same fixed point, but a strong gradient from the start.",
        {"objective": "minimax", "d_steps": 5, "view": TWINS, "twin": "Non-saturating"},
        ("real", "fake", "field"),
    ),
    Lesson(
        "Mode collapse, hopping",
        "Here G learns seven times as fast as D, so all its points rush to the one place that D rates highest. By the "
        "time D has learned to reject it, they jump to the next mode, and the chase goes on for a thousand steps or "
        "more. No loss shows it; count the modes.",
        COLLAPSE,
    ),
    Lesson(
        "Unrolling against collapse",
        "The same hopping game, but the twin's G is trained against the D that would respond five steps later. "
        "Putting everything on one mode no longer pays, so G spreads out (Metz et al. 2017). The price is five "
        "simulated steps of D for every real one. Minibatch discrimination and the gradient penalty, also in the list "
        "of twins, help here too.",
        {**COLLAPSE, "view": TWINS, "twin": "Unrolled, 5 steps"},
    ),
    Lesson(
        "Collapse is a probability",
        "Eight runs with the same settings differ only in their seed. With one hidden layer most find all modes within "
        "two thousand steps, while some stay on a single one, so one run proves nothing. The chart shows the median "
        "and the range of the eight.",
        {"view": EIGHT, "g_layers": 1, "d_layers": 1},
    ),
    Lesson(
        "Disjoint supports",
        "The data are two thin strips, which G hardly hits by chance. While the supports do not overlap, JS stays at "
        "log 2 however close G comes, and a perfect D gives no direction. The critic of the Wasserstein twin measures "
        "distance and leads G there (Arjovsky et al. 2017).",
        {"data": "disjoint-pair", "objective": "minimax", "d_steps": 5, "view": TWINS,
         "twin": "Wasserstein with gradient penalty, k = 5"},
        ("real", "fake", "heat", "field"),
    ),
    Lesson(
        "Label smoothing",
        "The twin's D has the target 0.9 instead of 1 on real data, so it cannot become certain. Its outputs move away "
        "from the right edge of the D(x) chart, and its gradients stay moderate. Only the real side is smoothed: with "
        "fake labels above 0, D* would follow p_g where there are no data.",
        {"view": TWINS, "twin": "Label smoothing"},
    ),
    Lesson(
        "Instance noise",
        "Noise on everything that D sees makes the two supports overlap and D's view smooth. On the disjoint strips, "
        "with five steps of D, it gives G a gradient. The noise also blurs what can be learned, so it is "
        "lowered over time: do so during training, under Stabilisation.",
        {"data": "disjoint-pair", "objective": "minimax", "d_steps": 5, "view": TWINS, "twin": "Instance noise"},
        ("real", "fake", "heat", "field"),
    ),
    Lesson(
        "Labels help",
        "Both networks of the twin see the class of each point: a conditional GAN (Mirza and Osindero 2014). One "
        "hard problem becomes 25 easy ones, and no mode is forgotten because every class is sampled. Compare the "
        "number of covered modes at equal steps.",
        {"data": "grid", "view": TWINS, "twin": "Labels for both"},
    ),
    Lesson(
        "How often should D train?",
        "Goodfellow's algorithm gives D k steps for each step of G, so that it stays close to D*. The twin takes "
        "k = 5: its D is closer to the best one (see D - D*), and each step costs almost three times as much. A D that "
        "is too good is only harmful if G's loss saturates.",
        {"view": TWINS, "twin": "Five steps of D (k = 5)"},
        ("real", "fake", "optimum"),
    ),
)  # fmt: skip
