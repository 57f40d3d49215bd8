"""A NAT in network namespaces: declared as values, built in private namespaces, always unwound.

Everything here happens inside namespaces that the lab made itself. It never
changes the configuration, the sysctls or the namespaces of the host.
"""
