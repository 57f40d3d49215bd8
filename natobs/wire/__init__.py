"""Packets of natobs' own and the kernel's time stamps on them. Bytes in, records out; no policy."""
