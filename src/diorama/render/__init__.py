"""Meshes to colour, depth and ids on the CPU: ray casting with embree, procedural textures, bodies over pictures."""
