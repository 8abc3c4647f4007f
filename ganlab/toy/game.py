"""K runs of one game, trained side by side: what is drawn, what D and G are told, and how they take turns.

Everything random at a step comes from (seed, step) alone, so a run can be resumed, rewound and replayed exactly.
Plain objectives go backwards by hand; penalties, features and unrolling through autograd, on the same parameters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganlab.lazy import F, Tensor, torch
from ganlab.objectives import get_objective, gradient_norm2, gradient_penalty, smoothed
from ganlab.toy.config import Config
from ganlab.toy.distributions import Distribution, get_distribution
from ganlab.toy.networks import (
    ACTIVATIONS,
    Layers,
    backward,
    count,
    forward,
    gains,
    initial,
    spectrum,
    unnormalised,
    views,
)
from ganlab.toy.optimisers import OPTIMISERS, State, new_state

CHUNK = 16  # steps whose data and noise are drawn at once
KERNELS, KERNEL_SIZE = 8, 4  # of minibatch discrimination
WEIGHTS_G, WEIGHTS_D, BATCHES, SHOWN = range(4)  # streams of random numbers


class Draws(NamedTuple):
    """What one turn uses: real data (K, batch, dim) and its labels, latent noise z with labels of its own, noise on
    what D sees, and shares for the gradient penalty (K, batch, 1); None where the game has none."""

    real: Tensor
    real_labels: Tensor
    z: Tensor
    z_labels: Tensor
    noise_real: Tensor | None
    noise_fake: Tensor | None
    mix: Tensor | None


class Game:
    """config.runs generators against as many discriminators.

    flat_g, flat_d: parameters (K, P). grad_g, grad_d: the last gradients. real, fake: D's last outputs (K, batch) at
    its own turn, fooled: at G's turn. steps: so far.
    """

    def __init__(self, config: Config, data: Distribution | None = None, device: str = "cpu"):
        """data: the user's own distribution, in place of the one that config.data names."""
        self.data, self.device = data or get_distribution(config.data), device
        self.steps = 0
        self.configure(config)
        network_g, network_d = config.generator, config.discriminator
        gains_d = gains(network_d) + ([1.0] if config.minibatch else [])
        runs = range(config.runs)
        g = [initial(self.shapes_g, gains(network_g), stream(config.seed + k, WEIGHTS_G)) for k in runs]
        d = [initial(self.shapes_d, gains_d, stream(config.seed + k, WEIGHTS_D)) for k in runs]
        self.flat_g, self.flat_d = torch.stack(g).to(device), torch.stack(d).to(device)
        self.grad_g, self.grad_d = torch.zeros_like(self.flat_g), torch.zeros_like(self.flat_d)
        self.layers_g, self.layers_d = views(self.flat_g, self.shapes_g), views(self.flat_d, self.shapes_d)
        self.into_g, self.into_d = views(self.grad_g, self.shapes_g), views(self.grad_d, self.shapes_d)
        self.state_g, self.state_d = new_state(self.flat_g), new_state(self.flat_d)
        self.last_g, self.last_d = torch.zeros_like(self.flat_g), torch.zeros_like(self.flat_d)
        self.right = [torch.full((config.runs, 1, j), j**-0.5, device=device) for _, j in self.shapes_d]
        self.real = self.fake = self.fooled = torch.zeros(config.runs, 1, device=device)

    def configure(self, config: Config) -> None:
        """Take other hyper-parameters, at any time; the shapes of the networks must stay."""
        self.config = config
        self.objective = smoothed(get_objective(config.objective), config.smoothing)
        self.classes = self.data.classes if config.conditional else 0
        self.shapes_g = config.generator.shapes(config.latent + self.classes, self.data.dim)
        self.shapes_d = config.discriminator.shapes(self.data.dim + self.classes, 1, KERNELS if config.minibatch else 0)
        if config.minibatch:
            self.shapes_d += ((config.discriminator.units, KERNELS * KERNEL_SIZE),)
        self.by_hand = not (
            config.r1
            or config.objective == "wgan-gp"
            or config.minibatch
            or config.feature_matching
            or config.virtual_batch_norm
        )
        self._chunk = (-1, [])
        self._shown: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._reference: Tensor | None = None

    def step(self, turns: str = "dg") -> None:
        """One round of the game; turns "d" or "g": of one player only, alternating."""
        steps = self.draws(self.steps)
        with torch.no_grad():
            if turns == "dg" and self.config.play in ("simultaneous", "extragradient", "optimistic", "consensus"):
                getattr(self, f"_{self.config.play}")(steps[-1])
            else:
                if "d" in turns:
                    for turn in steps[:-1]:
                        self.gradient_d(turn)
                        self._update_d(*self._direction_d())
                if "g" in turns:
                    self.gradient_g(steps[-1])
                    self._update_g(*self._direction_g())
        self.steps += 1

    # Drawing

    def draws(self, step: int) -> list[Draws]:
        """What each turn of a step uses: d_steps turns of D, and G's."""
        chunk, at = divmod(step, CHUNK)
        if self._chunk[0] != chunk:
            self._chunk = (chunk, self._draw(chunk))
        here = [None if t is None else t[at].to(self.device) for t in self._chunk[1]]
        turns = range(self.config.d_steps + 1)
        return [Draws(*(None if t is None else t[turn] for t in here)) for turn in turns]

    def _draw(self, chunk: int) -> list[Tensor | None]:
        """The fields of Draws, (CHUNK, turns, K, ...) each; from the host, so that a device does not change them."""
        c = self.config
        shape = (CHUNK, c.d_steps + 1, c.batch)
        n = CHUNK * (c.d_steps + 1) * c.batch
        runs = []
        for k in range(c.runs):
            generator = stream(c.seed + k, BATCHES, chunk)
            real, labels = self.data.sample(n, generator)
            z = self._noise((n, c.latent), generator)
            z_labels = self.data.sample(n, generator)[1] if c.conditional else labels
            fields = [real.view(*shape, -1), labels.view(shape), z.view(*shape, -1), z_labels.view(shape)]
            noisy = bool(c.instance_noise)
            fields += [torch.randn((*shape, real.shape[1]), generator=generator) if noisy else None for _ in range(2)]
            fields += [torch.rand((*shape, 1), generator=generator) if c.objective == "wgan-gp" else None]
            runs.append(fields)
        return [None if parts[0] is None else torch.stack(parts, 2) for parts in zip(*runs, strict=True)]

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        if self.config.noise == "gaussian":
            return torch.randn(shape, generator=generator)
        return 2 * torch.rand(shape, generator=generator) - 1

    def noise(self, n: int, which: int = 0) -> tuple[Tensor, Tensor]:
        """The same n latent points (K, n, latent) and labels (K, n) every time, to show and to measure with."""
        if (n, which) not in self._shown:
            generators = [stream(self.config.seed + k, SHOWN, which) for k in range(self.config.runs)]
            z = torch.stack([self._noise((n, self.config.latent), g) for g in generators])
            labels = torch.stack([self.data.sample(n, g)[1] for g in generators])
            self._shown[n, which] = z.to(self.device), labels.to(self.device)
        return self._shown[n, which]

    # The two networks, as functions of their parameters

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """(K, N, latent) and labels (K, N) -> (K, N, dim)."""
        with torch.no_grad():
            return self._generate(self.flat_g, self._labelled(z, labels))

    def discriminate(self, x: Tensor, labels: Tensor) -> Tensor:
        """(K, N, dim) and labels (K, N) -> D's outputs v (K, N). Minibatch discrimination compares each point with the
        batch that D last saw real."""
        draws = self.draws(max(0, self.steps - 1))[0]
        among = self._labelled(draws.real, draws.real_labels) if self.config.minibatch else None
        with torch.no_grad():
            return self._discriminate(self.flat_d, self._labelled(x, labels), among)[0]

    def _labelled(self, x: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([x, F.one_hot(labels, self.classes).to(x.dtype)], -1) if self.classes else x

    def _generate(self, flat: Tensor, z: Tensor) -> Tensor:
        layers, activation = views(flat, self.shapes_g), self.config.generator.activation
        if self.config.virtual_batch_norm:
            return virtual_batch_norm(layers, z, self._reference_z(), activation)
        return forward(layers, z, activation)[-1]

    def _reference_z(self) -> Tensor:
        if self._reference is None:
            self._reference = self._labelled(*self.noise(self.config.batch, 1))
        return self._reference

    def _discriminate(self, flat: Tensor, x: Tensor, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (K, N) and the last hidden layer (K, N, units); among: the batch to compare with, x unless given."""
        layers, activation = views(flat, self.shapes_d), self.config.discriminator.activation
        if self.config.discriminator.spectral:
            layers = [(w / spectrum(w, r).sigma, b) for (w, b), r in zip(layers, self.right, strict=True)]
        if not self.config.minibatch:
            *_, features, out = forward(layers, x, activation)
            return out[..., 0], features
        *body, output, kernel = layers
        function = ACTIVATIONS[activation].function
        hidden = [function(forward(body, t, activation)[-1]) for t in ([x] if among is None else [x, among])]
        beside = closeness(hidden[0] @ kernel[0], hidden[-1] @ kernel[0])
        return forward([output], torch.cat([hidden[0], beside], -1), activation)[-1][..., 0], hidden[0]

    def _seen(self, x: Tensor, labels: Tensor, noise: Tensor | None) -> Tensor:
        """What D gets to see of data or samples."""
        if noise is not None:
            x = x + self.config.instance_noise * noise
        return self._labelled(x, labels)

    # Losses as functions of both players' parameters, for autograd

    def loss_d(self, flat_d: Tensor, flat_g: Tensor, d: Draws) -> Tensor:
        """(K,) D's loss, penalties included."""
        c = self.config
        real = self._seen(d.real, d.real_labels, d.noise_real)
        fake = self._seen(self._generate(flat_g, self._labelled(d.z, d.z_labels)), d.z_labels, d.noise_fake)

        def critic(x: Tensor) -> Tensor:
            return self._discriminate(flat_d, x)[0]

        v_real, v_fake = critic(real), critic(fake)
        self.real, self.fake = v_real.detach(), v_fake.detach()
        loss = self.objective.real.value(v_real).mean(1) + self.objective.fake.value(v_fake).mean(1)
        if c.objective == "wgan-gp" and c.penalty:
            loss = loss + c.penalty * gradient_penalty(critic, real, fake, d.mix).mean(1)
        if c.r1:
            loss = loss + c.r1 / 2 * gradient_norm2(critic, real).mean(1)
        return loss

    def loss_g(self, flat_d: Tensor, flat_g: Tensor, d: Draws) -> Tensor:
        """(K,) G's loss; with feature matching the squared distance of D's mean features (Salimans et al., 3.1)."""
        fake = self._seen(self._generate(flat_g, self._labelled(d.z, d.z_labels)), d.z_labels, d.noise_fake)
        v, features = self._discriminate(flat_d, fake)
        self.fooled = v.detach()
        if not self.config.feature_matching:
            return self.objective.generator.value(v).mean(1)
        wanted = self._discriminate(flat_d, self._seen(d.real, d.real_labels, d.noise_real))[1]
        return (wanted.mean(1) - features.mean(1)).square().sum(-1)

    def losses(self) -> tuple[Tensor, Tensor]:
        """(K,) D's and G's loss at their last turns, from D's outputs alone."""
        d = self.objective.real.value(self.real).mean(1) + self.objective.fake.value(self.fake).mean(1)
        return d, self.objective.generator.value(self.fooled).mean(1)

    # Gradients

    def gradient_d(self, d: Draws) -> None:
        """dL_D / d flat_d into grad_d."""
        self._iterate_power()
        if self.by_hand:
            self._gradient_d_by_hand(d)
        else:
            with torch.enable_grad():
                flat = self.flat_d.detach().requires_grad_()
                self.grad_d.copy_(torch.autograd.grad(self.loss_d(flat, self.flat_g, d).sum(), flat)[0])

    def gradient_g(self, d: Draws) -> None:
        """dL_G / d flat_g into grad_g."""
        if self.config.play == "unrolled":
            self._gradient_g_unrolled(d)
        elif self.by_hand:
            self._gradient_g_by_hand(d)
        else:
            with torch.enable_grad():
                flat = self.flat_g.detach().requires_grad_()
                self.grad_g.copy_(torch.autograd.grad(self.loss_g(self.flat_d, flat, d).sum(), flat)[0])

    def _gradient_d_by_hand(self, d: Draws) -> None:
        c, batch = self.config, self.config.batch
        fake = forward(self.layers_g, self._labelled(d.z, d.z_labels), c.generator.activation)[-1]
        seen = [self._seen(d.real, d.real_labels, d.noise_real), self._seen(fake, d.z_labels, d.noise_fake)]
        layers, spectra = self._normalised()
        outputs = forward(layers, torch.cat(seen, 1), c.discriminator.activation)
        real, fake = outputs[-1].split(batch, 1)
        delta = torch.cat([self.objective.real.slope(real), self.objective.fake.slope(fake)], 1).div_(batch)
        backward(layers, outputs, delta, c.discriminator.activation, self.into_d)
        for (gradient, _), (weight, _), s in zip(self.into_d, layers, spectra, strict=False):
            gradient.copy_(unnormalised(gradient, weight, s))
        self.real, self.fake = real[..., 0], fake[..., 0]

    def _gradient_g_by_hand(self, d: Draws) -> None:
        c = self.config
        outputs_g = forward(self.layers_g, self._labelled(d.z, d.z_labels), c.generator.activation)
        fake = self._seen(outputs_g[-1], d.z_labels, d.noise_fake)
        layers, _ = self._normalised()
        outputs = forward(layers, fake, c.discriminator.activation)
        delta = self.objective.generator.slope(outputs[-1]) / c.batch
        delta = backward(layers, outputs, delta, c.discriminator.activation, None, to_input=True)
        backward(self.layers_g, outputs_g, delta[..., : self.data.dim], c.generator.activation, self.into_g)
        self.fooled = outputs[-1][..., 0]

    def _gradient_g_unrolled(self, d: Draws) -> None:
        """Through the steps that D would take next (Metz et al., Unrolled GANs, ICLR 2017, equation 11)."""
        with torch.enable_grad():
            flat_g = self.flat_g.detach().requires_grad_()
            flat_d, state = self.flat_d.detach().requires_grad_(), self.state_d
            for _ in range(self.config.unroll):
                (gradient,) = torch.autograd.grad(self.loss_d(flat_d, flat_g, d).sum(), flat_d, create_graph=True)
                delta, state = self._direction(gradient, state, self.config.rate_d)
                flat_d = flat_d - delta
            self.grad_g.copy_(torch.autograd.grad(self.loss_g(flat_d, flat_g, d).sum(), flat_g)[0])

    def _normalised(self) -> tuple[Layers, list]:
        """D's layers as they act, and the spectra that they were divided by."""
        if not self.config.discriminator.spectral:
            return self.layers_d, []
        spectra = [spectrum(w, r) for (w, _), r in zip(self.layers_d, self.right, strict=True)]
        return [(w / s.sigma, b) for (w, b), s in zip(self.layers_d, spectra, strict=True)], spectra

    def _iterate_power(self) -> None:
        if self.config.discriminator.spectral:
            self.right = [spectrum(w, r).right for (w, _), r in zip(self.layers_d, self.right, strict=True)]

    # Updates and turns

    def _direction(self, gradient: Tensor, state: State, rate: float) -> tuple[Tensor, State]:
        return OPTIMISERS[self.config.optimiser](gradient, state, rate, self.config.beta1, self.config.beta2)

    def _direction_d(self) -> tuple[Tensor, State]:
        return self._direction(self.grad_d, self.state_d, self.config.rate_d)

    def _direction_g(self) -> tuple[Tensor, State]:
        return self._direction(self.grad_g, self.state_g, self.config.rate_g)

    def _update_d(self, delta: Tensor, state: State) -> None:
        self.flat_d -= delta
        self.state_d = state
        if self.config.objective == "wasserstein":
            self.flat_d.clamp_(-self.config.clip, self.config.clip)

    def _update_g(self, delta: Tensor, state: State) -> None:
        self.flat_g -= delta
        self.state_g = state

    def _both(self, d: Draws) -> tuple[tuple[Tensor, State], tuple[Tensor, State]]:
        """Both players' steps from where they stand."""
        self.gradient_d(d)
        self.gradient_g(d)
        return self._direction_d(), self._direction_g()

    def _simultaneous(self, d: Draws) -> None:
        step_d, step_g = self._both(d)
        self._update_d(*step_d)
        self._update_g(*step_g)

    def _extragradient(self, d: Draws) -> None:
        """A step ahead, and from the start with the gradients found there (Korpelevich, 1976; Gidel et al., ICLR 2019,
        algorithm 4)."""
        start_d, start_g = self.flat_d.clone(), self.flat_g.clone()
        self._simultaneous(d)
        step_d, step_g = self._both(d)
        self.flat_d.copy_(start_d)
        self.flat_g.copy_(start_g)
        self._update_d(*step_d)
        self._update_g(*step_g)

    def _optimistic(self, d: Draws) -> None:
        """Twice this step, less the last one (Daskalakis et al., ICLR 2018, algorithm 1)."""
        (delta_d, state_d), (delta_g, state_g) = self._both(d)
        self._update_d(2 * delta_d - self.last_d, state_d)
        self._update_g(2 * delta_g - self.last_g, state_g)
        self.last_d, self.last_g = delta_d, delta_g

    def _consensus(self, d: Draws) -> None:
        """Both also descend half the squared norm of all gradients (Mescheder et al., NeurIPS 2017, equation 11)."""
        self._iterate_power()
        with torch.enable_grad():
            flat_d, flat_g = self.flat_d.detach().requires_grad_(), self.flat_g.detach().requires_grad_()
            (g_d,) = torch.autograd.grad(self.loss_d(flat_d, flat_g, d).sum(), flat_d, create_graph=True)
            (g_g,) = torch.autograd.grad(self.loss_g(flat_d, flat_g, d).sum(), flat_g, create_graph=True)
            norm2 = (g_d.square().sum() + g_g.square().sum()) / 2
            more_d, more_g = torch.autograd.grad(norm2, (flat_d, flat_g))
        self.grad_d.copy_(g_d.detach() + self.config.consensus * more_d)
        self.grad_g.copy_(g_g.detach() + self.config.consensus * more_g)
        step_d, step_g = self._direction_d(), self._direction_g()
        self._update_d(*step_d)
        self._update_g(*step_g)

    # Going back

    def snapshot(self) -> dict:
        """All that the next step depends on, apart from config and data."""
        tensors = {n: getattr(self, n).clone() for n in ("flat_g", "flat_d", "last_g", "last_d")}
        return tensors | {"states": (self.state_g, self.state_d), "right": list(self.right), "steps": self.steps}

    def restore(self, snapshot: dict) -> None:
        for name in ("flat_g", "flat_d", "last_g", "last_d"):
            getattr(self, name).copy_(snapshot[name])
        self.state_g, self.state_d = snapshot["states"]
        self.right, self.steps = list(snapshot["right"]), snapshot["steps"]

    @property
    def nbytes(self) -> int:
        """What the game takes in memory: parameters with gradients, steps and moments, and what was drawn for it."""
        drawn = [*self._chunk[1], *(t for pair in self._shown.values() for t in pair)]
        return 5 * (self.flat_g.nbytes + self.flat_d.nbytes) + sum(t.nbytes for t in drawn if t is not None)

    def finite(self) -> bool:
        """Whether every parameter is still a number; a training that diverged is not."""
        return bool(torch.isfinite(self.flat_g.sum() + self.flat_d.sum()))


def parameters(game: Game) -> tuple[int, int]:
    """Of one generator and one discriminator."""
    return count(game.shapes_g), count(game.shapes_d)


def stream(seed: int, *key: int) -> torch.Generator:
    """A generator of random numbers of its own for each (seed, key)."""
    state = np.random.SeedSequence([seed, *key]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def closeness(a: Tensor, b: Tensor) -> Tensor:
    """(K, N, KERNELS): for each sample of a the sum over samples of b of exp(-L1) per kernel (Salimans et al., 2016,
    section 3.2)."""
    a, b = (t.view(*t.shape[:2], KERNELS, KERNEL_SIZE) for t in (a, b))
    return torch.exp(-(a[:, :, None] - b[:, None]).abs().sum(-1)).sum(2)


def virtual_batch_norm(layers: Layers, z: Tensor, reference: Tensor, activation: str) -> Tensor:
    """A forward pass in which every hidden unit is normalised by the statistics of a fixed reference batch and the
    sample itself (Salimans et al., 2016, section 3.4). Gains are left to the next layer's weights."""
    function, n = ACTIVATIONS[activation].function, reference.shape[1]
    h, r = z, reference
    for weight, bias in layers[:-1]:
        h, r = h @ weight, r @ weight
        mean, square = r.mean(1, keepdim=True), r.square().mean(1, keepdim=True)
        with_h, with_h2 = (h + n * mean) / (n + 1), (h.square() + n * square) / (n + 1)
        h = function((h - with_h) / (with_h2 - with_h.square() + 1e-5).sqrt() + bias)
        r = function((r - mean) / (square - mean.square() + 1e-5).sqrt() + bias)
    weight, bias = layers[-1]
    return torch.baddbmm(bias, h, weight)
