"""GANs on one- and two-dimensional distributions: small enough to visualise completely, trained live."""
