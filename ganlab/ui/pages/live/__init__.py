"""The Live GAN tab."""
