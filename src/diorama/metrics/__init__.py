"""Figures of merit as pure functions of arrays; conventions of the field's papers are named in each docstring."""
