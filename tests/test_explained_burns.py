"""A budget that burns for a reason that another alert names is no news of its own, neither meanwhile nor afterwards."""

import shutil
import subprocess
from pathlib import Path

import yaml

RULES = Path(__file__).parent.parent / "alerts"
CALM, FAULT, AFTER = 90, 15, 60
"""Minutes: twenty attempts in each, of which six fail during the fault: too few for the alert on failing probes."""


def probes(nat: str) -> list[dict[str, str]]:
    place = f'nat_cluster="egress-1", nat="{nat}", subnet="a", instance="prober", probe="web", target=""'
    sound = 20 * CALM + 14 * FAULT
    values = {
        "attempts": f"0+20x{CALM + FAULT + AFTER}",
        "first_attempt_success": f"0+20x{CALM} {20 * CALM + 14}+14x{FAULT - 1} {sound + 20}+20x{AFTER}",
    }
    return [{"series": f'natobs_probe_{k}_total{{kind="tcp", {place}}}', "values": v} for k, v in values.items()]


def table_full(nat: str) -> list[dict[str, str]]:
    labels = f'reason="table_full", nat_cluster="egress-1", nat="{nat}", instance="agent"'
    return [
        {
            "series": f"natobs_new_flow_drops_total{{{labels}}}",
            "values": f"0x{CALM} 7+7x{FAULT - 1} {7 * FAULT}x{AFTER}",
        }
    ]


def expect(minute: int, alert: str, action: str, *nats: str) -> dict[str, object]:
    query = f'count by (nat) (ALERTS{{alertname="{alert}", natobs_action="{action}", alertstate="firing"}})'
    samples = [{"labels": f'{{nat="{nat}"}}', "value": 1} for nat in nats]
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": samples}


def test_a_budget_pages_only_where_no_alert_names_the_cause(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; `make programs` fetches it"
    burn, during, minutes = "NatOutboundSuccessBurn", CALM + 12, range(CALM, CALM + FAULT + 30, 3)
    expected = [
        expect(during, burn, "page", "unexplained"),
        expect(during, burn, "freeze", "explained", "unexplained"),
        expect(during, "NatTableFull", "page", "explained"),
        expect(CALM + FAULT + 25, "NatTableFull", "page"),  # long over, while the budget's half hour remembers it
        expect(CALM + FAULT + 25, burn, "page", "unexplained"),
        *(
            {
                "expr": f'ALERTS{{alertname="{burn}", natobs_action="page", nat="explained", alertstate="firing"}}',
                "eval_time": f"{minute}m",
                "exp_samples": [],
            }
            for minute in minutes
        ),
    ]
    test = {
        "rule_files": [str(RULES / f"natobs-{part}.yml") for part in ("recording", "alerts")],
        "evaluation_interval": "30s",
        "tests": [
            {
                "interval": "1m",
                "input_series": [*probes("unexplained"), *probes("explained"), *table_full("explained")],
                "promql_expr_test": expected,
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test), "utf-8")
    command = [promtool, "test", "rules", str(tmp_path / "test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
