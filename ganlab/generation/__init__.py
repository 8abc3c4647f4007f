"""From noise to images: training images, networks, their training and evaluation, and the latent space."""
