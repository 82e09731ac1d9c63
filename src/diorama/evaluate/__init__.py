"""The benchmark: the papers' own numbers, to stand beside those that are measured here."""
