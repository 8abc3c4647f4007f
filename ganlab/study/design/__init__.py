"""Before anybody reads: the protocol, the images and their audit, the order of questions, and planning."""
