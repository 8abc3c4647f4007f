"""From noise to images: lung nodules to learn from, networks that draw them, and walks through their latent space."""
