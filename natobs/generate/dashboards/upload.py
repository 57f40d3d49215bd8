"""The flavour of a dashboard that a person uploads: Grafana asks for the data source, and checks what it needs.

Knows ``__inputs`` and ``__requires``, which the upload form reads and file
provisioning does not fill in.
"""

from typing import Any

from natobs.generate.dashboards.finish import panels

Json = dict[str, Any]
_INPUT = "DS_PROMETHEUS"
_OLDEST_GRAFANA = "10.4.0"
_NAMES = {
    "bargauge": "Bar gauge",
    "gauge": "Gauge",
    "logs": "Logs",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "timeseries": "Time series",
}
_SOURCES = {"prometheus": "Prometheus", "loki": "Loki", "elasticsearch": "Elasticsearch"}


def uploaded(dashboard: Json) -> Json:
    """A finished dashboard with what the upload form asks for; the data source asked for becomes the chosen one."""
    kinds = sorted({panel["type"] for panel in panels(dashboard)})
    sources = [one["query"] for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    variables = [
        one | {"current": {"selected": False, "text": "Prometheus", "value": f"${{{_INPUT}}}"}}
        if one["name"] == "datasource"
        else one
        for one in dashboard["templating"]["list"]
    ]
    return {
        **dashboard,
        "templating": {"list": variables},
        "__inputs": [
            {
                "name": _INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes agents and probers, with the rules of natobs loaded",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _OLDEST_GRAFANA},
            *({"type": "datasource", "id": one, "name": _SOURCES[one], "version": "1.0.0"} for one in sources),
            *({"type": "panel", "id": kind, "name": _NAMES[kind], "version": ""} for kind in kinds),
        ],
    }
