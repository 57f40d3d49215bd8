"""Observability for self-managed NAT on Linux."""

__version__ = "0.1.0"
