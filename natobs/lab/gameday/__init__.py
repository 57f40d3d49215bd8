"""A game day: each fault in a fresh lab with the whole monitoring stack, and what reached the pager because of it."""
