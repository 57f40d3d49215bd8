"""Grafana dashboards, from the catalogue and the settings of a fleet.

grafanalib builds the panels (:mod:`.grafana`, :mod:`.panels`), one pass repairs
what it emits (:mod:`.finish`), and one module a dashboard says what is on it.
"""
