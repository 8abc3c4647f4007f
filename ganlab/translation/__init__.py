"""Image to image: networks, tasks, training and whole-volume inference."""
