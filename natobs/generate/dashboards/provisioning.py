"""Files that have Grafana load dashboards and data source when it starts.

Source: https://grafana.com/docs/grafana/latest/administration/provisioning/.
"""

_FOLDER = "/var/lib/grafana/dashboards/natobs"
"""Where the second step of the README copies the dashboards."""
_EVERY = 30


def datasources() -> dict[str, object]:
    """The Prometheus that scrapes agents and probers."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": "natobs-prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": "http://localhost:9090",
                "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
            }
        ],
    }


def providers() -> dict[str, object]:
    """Where the dashboards are."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "natobs",
                "folder": "NAT",
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "updateIntervalSeconds": _EVERY,
                "options": {"path": _FOLDER},
            }
        ],
    }
