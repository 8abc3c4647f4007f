"""The anatomy of the head, part by part, painted front to back."""
