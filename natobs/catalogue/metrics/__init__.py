"""The metrics, one module a subject; each row is the whole truth about its metric."""
