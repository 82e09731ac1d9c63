"""Meshes to colour, depth, normals and ids on the CPU: ray casting with embree, procedural textures, overlays."""
