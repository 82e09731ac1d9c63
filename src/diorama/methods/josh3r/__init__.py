"""JOSH3R: global motion of people and cameras from pairs of pictures, without optimisation."""
