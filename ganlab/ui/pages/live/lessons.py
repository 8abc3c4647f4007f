"""The Live GAN page's lessons, in the order of the lectures: what to look at, and the settings that show it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ONE, TWINS, EIGHT = "One run", "Twins", "Eight seeds"

# What a twin may do otherwise: what the controls would say.
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
    """text: three sentences. settings: of the controls, where they differ from the usual. layers: what is drawn."""

    title: str
    text: str
    settings: dict = field(default_factory=dict)
    layers: tuple[str, ...] = ("real", "fake", "heat")

    @property
    def slug(self) -> str:
        """As ?tab=toy&lesson=... opens it: the title's words."""
        return "-".join(re.findall(r"[a-z]+", self.title.lower()))


COLLAPSE = {"rate_g": 2e-3, "rate_d": 3e-4}

LESSONS = (
    Lesson(
        "One dimension, step by step",
        "The generator is a map from noise z, at the bottom, to data x: where its lines crowd, p_g is high. D starts "
        "flat, rises where p exceeds p_g and pulls the lines there; its best answer is D* = p / (p + p_g), dotted. "
        "Where the two densities meet, D can only say one half.",
        {"data": "gaussians-1d", "latent": 1, "noise": "uniform", "rate_g": 5e-4, "rate_d": 5e-4, "d_steps": 3},
        ("real", "fake", "heat", "optimum", "warp"),
    ),
    Lesson(
        "A ring is learned",
        "Eight Gaussians on a circle are the field's first test: can a generator find every mode? Press Play and watch "
        "D's view chase the orange points, and them run from the vermilion. Circles are solid once a mode gets at "
        "least a quarter of its fair share of the samples.",
    ),
    Lesson(
        "Losses that oscillate",
        "With heavy momentum both players overshoot: modes are won, left and won again. The loss curves swing and tell "
        "nothing about quality, since each loss only measures the other player. Watch the Jensen-Shannon "
        "divergence instead: it compares samples with the true density.",
        {"beta1": 0.9},
    ),
    Lesson(
        "The vanishing gradient",
        "Both twins face a D that trains five times as often and soon tells all fakes. On the left G descends "
        "log(1 - D), whose slope goes to 0 exactly where D is sure: most arrows are gone. On the right G ascends "
        "log D: same fixed point, but a strong pull from the very start.",
        {"objective": "minimax", "d_steps": 5, "view": TWINS, "twin": "Non-saturating"},
        ("real", "fake", "field"),
    ),
    Lesson(
        "Mode collapse, hopping",
        "Here G learns seven times as fast as D, so it rushes to the one place that D likes most. By the time D has "
        "learned to reject it, all of G jumps to the next mode, and the chase goes round for a thousand steps and "
        "more. No loss shows it; count the modes.",
        COLLAPSE,
    ),
    Lesson(
        "Unrolling against collapse",
        "The same hopping game, but the twin's G is trained against the D that would answer it five steps later. "
        "Piling everything on one mode no longer pays, so it spreads out (Metz et al. 2017). The price is five "
        "imagined steps of D for every real one; minibatch discrimination and the gradient penalty, in the twin's "
        "list too, help here as well.",
        {**COLLAPSE, "view": TWINS, "twin": "Unrolled, 5 steps"},
    ),
    Lesson(
        "Collapse is a probability",
        "Eight runs of the same settings differ only in their seed. With one hidden layer most find all modes in two "
        "thousand steps while some stay on a single one, so one run proves nothing. The chart shows the median and "
        "the range of the eight.",
        {"view": EIGHT, "g_layers": 1, "d_layers": 1},
    ),
    Lesson(
        "Disjoint supports",
        "The data are two thin strips, which G can hardly hit by chance. While the supports do not overlap, JS stays "
        "at log 2 however near G comes, and a perfect D gives no direction. The Wasserstein twin's critic measures "
        "distance and leads G there (Arjovsky et al. 2017).",
        {"data": "disjoint-pair", "objective": "minimax", "d_steps": 5, "view": TWINS,
         "twin": "Wasserstein with gradient penalty, k = 5"},
        ("real", "fake", "heat", "field"),
    ),
    Lesson(
        "Label smoothing",
        "The twin's D is asked for .9 instead of 1 on real data, so that it cannot become certain. Its answers move "
        "away from the right edge of the D(x) chart, and its gradients stay moderate. Only the real side is "
        "smoothed: with fake labels above 0, D* would follow p_g where there is no data.",
        {"view": TWINS, "twin": "Label smoothing"},
    ),
    Lesson(
        "Instance noise",
        "Noise on everything that D sees makes the two supports overlap, and D's view smooth. On the disjoint strips, "
        "with five steps of D, that is the difference between a lost G and one with a direction. The noise blurs what "
        "can be learned, so one lowers it in time: do it live, under What may help.",
        {"data": "disjoint-pair", "objective": "minimax", "d_steps": 5, "view": TWINS, "twin": "Instance noise"},
        ("real", "fake", "heat", "field"),
    ),
    Lesson(
        "Labels help",
        "The twin's two networks both see the class of each point: a conditional GAN (Mirza and Osindero 2014). One "
        "hard problem becomes 25 easy ones, and no mode is forgotten because every class is asked for. Compare the "
        "number of lit modes at equal steps.",
        {"data": "grid", "view": TWINS, "twin": "Labels for both"},
    ),
    Lesson(
        "How often should D train?",
        "Goodfellow's algorithm gives D k steps for each step of G, so that it stays near D*. The twin takes k = 5: "
        "its D is nearer to the best one (see D - D*), and each of its steps costs almost three times as much. Too "
        "good a D is only harmful where G's loss saturates.",
        {"view": TWINS, "twin": "Five steps of D (k = 5)"},
        ("real", "fake", "optimum"),
    ),
)  # fmt: skip
