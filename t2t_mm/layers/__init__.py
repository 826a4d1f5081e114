"""Layers: nets that know nothing of problems or modalities."""
