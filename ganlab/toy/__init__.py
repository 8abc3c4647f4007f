"""GANs on one- and two-dimensional distributions: small enough to see everything, trained live."""
