"""The catalogue: every metric, SLI, objective, alert and fault is defined here once.

Pure data. Nothing in this package opens a file, a socket or a process.
"""
