"""What is done to this NAT on purpose, and what is announced: events, maintenance, and the file that keeps them."""
