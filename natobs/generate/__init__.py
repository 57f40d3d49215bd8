"""Catalogue in, files out. Touches no machine: what it needs to know stands in the catalogue."""
