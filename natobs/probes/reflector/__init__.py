"""The other end of the probes: answers STAMP, STUN and TCP echo, and is of no use to anybody else."""
