"""Training on your own volumes: two folders, checked, converted to network input, and cut into slices."""
