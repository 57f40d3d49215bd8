"""A lab with the whole monitoring stack in it: agents, probers, Prometheus, Alertmanager and a pager that writes down.

Everything lives in the lab's namespaces and in its private memory, and ends
with the lab. Rules and the routing of alerts come from the caller.
"""
