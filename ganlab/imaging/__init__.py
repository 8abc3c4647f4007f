"""Volumes and pictures: reading, writing, geometry, masks, metrics and registration."""
