"""Figures, each a ratio against a named peer in the same run; none of them is asserted in a test."""
