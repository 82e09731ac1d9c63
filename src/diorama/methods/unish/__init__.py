"""UniSH (arXiv:2601.01222) as a method: the network on windows of a video, joined into one world."""
