"""Volumes: reading, writing, geometry, metrics, registration and phantom patients."""
