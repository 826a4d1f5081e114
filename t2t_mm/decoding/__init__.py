"""Decoding: from encoded inputs to output ids."""
