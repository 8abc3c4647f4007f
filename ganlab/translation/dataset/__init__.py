"""Training on your own volumes: two folders, checked, converted to what networks are fed, and cut into slices."""
