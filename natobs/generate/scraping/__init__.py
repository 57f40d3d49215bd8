"""Who scrapes agents and probers, and with which labels: for a plain Prometheus and for the operator in Kubernetes."""
