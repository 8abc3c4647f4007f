"""Readers of volumes and pictures in the usual formats, with limits on size and memory."""
