"""Synthetic probes: what a host behind the NAT lives through, timed by the kernel."""
