"""Turns records of the kernel into samples: one file per subject, strangers to one another."""
