"""``docs/runbooks``: what to do about each alert and each failure mode, and an index."""
