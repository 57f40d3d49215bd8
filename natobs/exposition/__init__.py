"""Samples on their way out: Prometheus and OpenMetrics over HTTP, and node_exporter textfiles.

Knows formats, sockets and files. Refuses to know where a sample comes from.
"""
