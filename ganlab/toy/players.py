"""The two players of K runs: their networks, losses and gradients.

Plain objectives are backpropagated by hand; penalties, features and unrolling use autograd on the same parameters.
"""

from __future__ import annotations

from ganlab.lazy import F, Tensor, torch
from ganlab.objectives import get_objective, gradient_norm2, gradient_penalty, smoothed
from ganlab.toy.config import Config
from ganlab.toy.distributions import Distribution, get_distribution
from ganlab.toy.draws import CHUNK, SHOWN, WEIGHTS_D, WEIGHTS_G, Draws, draw_chunk, latent_noise, stream
from ganlab.toy.networks import (
    ACTIVATIONS,
    KERNEL_SIZE,
    KERNELS,
    Layers,
    backward,
    closeness,
    forward,
    initial,
    initial_gains,
    network_shapes,
    spectrum,
    unnormalised,
    views,
    virtual_batch_norm,
)
from ganlab.toy.optimisers import OPTIMISERS, State, new_state


class Players:
    """config.runs pairs of a generator and a discriminator.

    flat_g, flat_d: parameters (K, P). grad_g, grad_d: the last gradients. real, fake: D's last outputs (K, batch) at
    its own turn; fooled: those at G's turn. steps: taken so far.
    """

    def __init__(self, config: Config, data: Distribution | None = None, device: str = "cpu"):
        """data: the user's own distribution, in place of the one that config.data names."""
        self.data, self.device = data or get_distribution(config.data), device
        self.steps = 0
        self.configure(config)
        network_g, network_d = config.generator, config.discriminator
        gains_g = initial_gains(network_g.layers, network_g.activation)
        gains_d = initial_gains(network_d.layers, network_d.activation) + ([1.0] if config.minibatch else [])
        runs = range(config.runs)
        g = [initial(self.shapes_g, gains_g, stream(config.seed + k, WEIGHTS_G)) for k in runs]
        d = [initial(self.shapes_d, gains_d, stream(config.seed + k, WEIGHTS_D)) for k in runs]
        self.flat_g, self.flat_d = torch.stack(g).to(device), torch.stack(d).to(device)
        self.grad_g, self.grad_d = torch.zeros_like(self.flat_g), torch.zeros_like(self.flat_d)
        self.layers_g, self.layers_d = views(self.flat_g, self.shapes_g), views(self.flat_d, self.shapes_d)
        self.into_g, self.into_d = views(self.grad_g, self.shapes_g), views(self.grad_d, self.shapes_d)
        self.state_g, self.state_d = new_state(self.flat_g), new_state(self.flat_d)
        self.right = [torch.full((config.runs, 1, j), j**-0.5, device=device) for _, j in self.shapes_d]
        self.real = self.fake = self.fooled = torch.zeros(config.runs, 1, device=device)

    def configure(self, config: Config) -> None:
        """Change hyper-parameters, at any time; the networks' shapes must stay the same."""
        network_g, network_d = config.generator, config.discriminator
        self.config = config
        self.objective = smoothed(get_objective(config.objective), config.smoothing)
        self.classes = self.data.classes if config.conditional else 0
        inputs_g, inputs_d = config.latent + self.classes, self.data.dim + self.classes
        self.shapes_g = network_shapes(network_g.layers, network_g.units, inputs_g, self.data.dim)
        self.shapes_d = network_shapes(
            network_d.layers, network_d.units, inputs_d, 1, KERNELS if config.minibatch else 0
        )
        if config.minibatch:
            self.shapes_d += ((network_d.units, KERNELS * KERNEL_SIZE),)
        self.by_hand = not (
            config.r1
            or config.objective == "wgan-gp"
            or config.minibatch
            or config.feature_matching
            or config.virtual_batch_norm
        )
        self._chunk: tuple[int, list[Tensor | None]] = (-1, [])
        self._shown: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._reference: Tensor | None = None

    # Inputs

    def draws(self, step: int) -> list[Draws]:
        """The random draws for each turn of a step: d_steps turns of D, then G's."""
        chunk, at = divmod(step, CHUNK)
        if self._chunk[0] != chunk:
            self._chunk = (chunk, draw_chunk(self.config, self.data, chunk))
        fields = [None if t is None else t[at].to(self.device) for t in self._chunk[1]]
        turns = range(self.config.d_steps + 1)
        return [Draws(*(None if t is None else t[turn] for t in fields)) for turn in turns]

    def noise(self, n: int, which: int = 0) -> tuple[Tensor, Tensor]:
        """The same n latent points (K, n, latent) and labels (K, n) every time, to show and to measure with."""
        if (n, which) not in self._shown:
            generators = [stream(self.config.seed + k, SHOWN, which) for k in range(self.config.runs)]
            z = torch.stack([latent_noise(self.config, n, g) for g in generators])
            labels = torch.stack([self.data.sample(n, g)[1] for g in generators])
            self._shown[n, which] = z.to(self.device), labels.to(self.device)
        return self._shown[n, which]

    # The networks, as functions of their parameters

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """(K, N, latent) and labels (K, N) -> (K, N, dim)."""
        with torch.no_grad():
            return self.generator_output(self.flat_g, self.with_labels(z, labels))

    def discriminate(self, x: Tensor, labels: Tensor) -> Tensor:
        """(K, N, dim) and labels (K, N) -> D's outputs v (K, N). Minibatch discrimination compares each point with the
        real batch of D's last turn."""
        draws = self.draws(max(0, self.steps - 1))[0]
        among = self.with_labels(draws.real, draws.real_labels) if self.config.minibatch else None
        with torch.no_grad():
            return self.discriminator_output(self.flat_d, self.with_labels(x, labels), among)[0]

    def with_labels(self, x: Tensor, labels: Tensor) -> Tensor:
        """x with one-hot labels, if both players see them."""
        return torch.cat([x, F.one_hot(labels, self.classes).to(x.dtype)], -1) if self.classes else x

    def generator_output(self, flat: Tensor, z: Tensor) -> Tensor:
        """G with parameters `flat` (K, P): (K, N, inputs) -> (K, N, dim)."""
        layers, activation = views(flat, self.shapes_g), self.config.generator.activation
        if not self.config.virtual_batch_norm:
            return forward(layers, z, activation)[-1]
        if self._reference is None:
            self._reference = self.with_labels(*self.noise(self.config.batch, 1))
        return virtual_batch_norm(layers, z, self._reference, activation)

    def discriminator_output(self, flat: Tensor, x: Tensor, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (K, N) and the last hidden layer (K, N, units); among: the batch to compare with, x by default."""
        layers, activation = views(flat, self.shapes_d), self.config.discriminator.activation
        if self.config.discriminator.spectral:
            layers = [(w / spectrum(w, r).sigma, b) for (w, b), r in zip(layers, self.right, strict=True)]
        if not self.config.minibatch:
            *_, features, out = forward(layers, x, activation)
            return out[..., 0], features
        *body, output, kernel = layers
        function = ACTIVATIONS[activation].function
        hidden = [function(forward(body, t, activation)[-1]) for t in ([x] if among is None else [x, among])]
        similarity = closeness(hidden[0] @ kernel[0], hidden[-1] @ kernel[0])
        return forward([output], torch.cat([hidden[0], similarity], -1), activation)[-1][..., 0], hidden[0]

    def _seen(self, x: Tensor, labels: Tensor, noise: Tensor | None) -> Tensor:
        """Data or samples as D sees them: with instance noise and labels, if the game has them."""
        if noise is not None:
            x = x + self.config.instance_noise * noise
        return self.with_labels(x, labels)

    # Losses, as functions of both players' parameters

    def loss_d(self, flat_d: Tensor, flat_g: Tensor, d: Draws) -> Tensor:
        """(K,) D's loss, penalties included."""
        c = self.config
        real = self._seen(d.real, d.real_labels, d.noise_real)
        fake = self._seen(self.generator_output(flat_g, self.with_labels(d.z, d.z_labels)), d.z_labels, d.noise_fake)

        def critic(x: Tensor) -> Tensor:
            return self.discriminator_output(flat_d, x)[0]

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
        fake = self._seen(self.generator_output(flat_g, self.with_labels(d.z, d.z_labels)), d.z_labels, d.noise_fake)
        v, features = self.discriminator_output(flat_d, fake)
        self.fooled = v.detach()
        if not self.config.feature_matching:
            return self.objective.generator.value(v).mean(1)
        real_features = self.discriminator_output(flat_d, self._seen(d.real, d.real_labels, d.noise_real))[1]
        return (real_features.mean(1) - features.mean(1)).square().sum(-1)

    def losses(self) -> tuple[Tensor, Tensor]:
        """(K,) D's and G's loss at their last turns, from D's outputs alone."""
        d = self.objective.real.value(self.real).mean(1) + self.objective.fake.value(self.fake).mean(1)
        return d, self.objective.generator.value(self.fooled).mean(1)

    # Gradients

    def gradient_d(self, d: Draws) -> None:
        """dL_D / d flat_d into grad_d."""
        self.iterate_power()
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
        fake = forward(self.layers_g, self.with_labels(d.z, d.z_labels), c.generator.activation)[-1]
        seen = [self._seen(d.real, d.real_labels, d.noise_real), self._seen(fake, d.z_labels, d.noise_fake)]
        layers, spectra = self.normalised_d()
        outputs = forward(layers, torch.cat(seen, 1), c.discriminator.activation)
        real, fake = outputs[-1].split(batch, 1)
        delta = torch.cat([self.objective.real.slope(real), self.objective.fake.slope(fake)], 1).div_(batch)
        backward(layers, outputs, delta, c.discriminator.activation, self.into_d)
        for (gradient, _), (weight, _), s in zip(self.into_d, layers, spectra, strict=False):
            gradient.copy_(unnormalised(gradient, weight, s))
        self.real, self.fake = real[..., 0], fake[..., 0]

    def _gradient_g_by_hand(self, d: Draws) -> None:
        c = self.config
        outputs_g = forward(self.layers_g, self.with_labels(d.z, d.z_labels), c.generator.activation)
        fake = self._seen(outputs_g[-1], d.z_labels, d.noise_fake)
        layers, _ = self.normalised_d()
        outputs = forward(layers, fake, c.discriminator.activation)
        delta = self.objective.generator.slope(outputs[-1]) / c.batch
        delta = backward(layers, outputs, delta, c.discriminator.activation, None, to_input=True)
        backward(self.layers_g, outputs_g, delta[..., : self.data.dim], c.generator.activation, self.into_g)
        self.fooled = outputs[-1][..., 0]

    def _gradient_g_unrolled(self, d: Draws) -> None:
        """Backpropagate through the next steps of D (Metz et al., Unrolled GANs, ICLR 2017, equation 11)."""
        with torch.enable_grad():
            flat_g = self.flat_g.detach().requires_grad_()
            flat_d, state = self.flat_d.detach().requires_grad_(), self.state_d
            for _ in range(self.config.unroll):
                (gradient,) = torch.autograd.grad(self.loss_d(flat_d, flat_g, d).sum(), flat_d, create_graph=True)
                delta, state = self.direction(gradient, state, self.config.rate_d)
                flat_d = flat_d - delta
            self.grad_g.copy_(torch.autograd.grad(self.loss_g(flat_d, flat_g, d).sum(), flat_g)[0])

    def normalised_d(self) -> tuple[Layers, list]:
        """D's layers under spectral norm, and the spectra by which they were divided; without it, the plain layers."""
        if not self.config.discriminator.spectral:
            return self.layers_d, []
        spectra = [spectrum(w, r) for (w, _), r in zip(self.layers_d, self.right, strict=True)]
        return [(w / s.sigma, b) for (w, b), s in zip(self.layers_d, spectra, strict=True)], spectra

    def iterate_power(self) -> None:
        if self.config.discriminator.spectral:
            self.right = [spectrum(w, r).right for (w, _), r in zip(self.layers_d, self.right, strict=True)]

    def direction(self, gradient: Tensor, state: State, rate: float) -> tuple[Tensor, State]:
        """The optimiser's step for a gradient, to be subtracted, and its new state."""
        return OPTIMISERS[self.config.optimiser](gradient, state, rate, self.config.beta1, self.config.beta2)
