"""Exact worlds: bodies that really touch the ground, textured streets, cameras, rendered clips with their truth."""
