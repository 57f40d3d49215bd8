"""What breaks a NAT, as classes with ``inject`` and ``heal``: one module a subject, all of them in ``registry.ALL``.

Everything is done inside the namespaces of a lab, with the means that anybody
has there: load, rules, routes, links, and sysctls that a network namespace has
for itself. Limits of the host are never changed. What was done is written down
in the lab itself, so that another process can undo it, and nothing outlives the lab.
"""
