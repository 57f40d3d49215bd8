"""Recording rules and alerts, from the catalogue and the settings of a fleet."""
