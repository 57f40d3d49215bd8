"""Speaks to Linux: one file per kernel interface, bytes in, typed records out. Knows no metric."""
