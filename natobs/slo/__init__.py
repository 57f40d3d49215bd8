"""Error budgets as Prometheus records them, and the services around it that natobs asks or tells something."""
