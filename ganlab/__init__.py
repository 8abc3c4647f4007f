"""See, try and judge generative adversarial networks in medical imaging."""

__version__ = "0.1.0"
