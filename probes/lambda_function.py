"""One round of probes for each invocation, pushed. For a serverless subnet, with probes.toml in the same package.

Environment: NATOBS_PUSHGATEWAY (a URL) or NATOBS_OTLP_ENDPOINT, else otlp.endpoint of the file;
NATOBS_GROUPING for the Pushgateway, as subnet=private-a,nat=nat-a; NATOBS_PROBES for another file.
"""
# ruff: noqa: INP001 - stands alone in a function's package

import os
from pathlib import Path

from msgspec.structs import replace

from natobs.exposition import oneshot
from natobs.probe_config import load

SPARE_SECONDS = 2.0
"""Left of the invocation's time when the round has to be over."""


def handler(event: object, context: object) -> dict[str, object]:
    """Probe and push; an invocation fails when the push does, not when a probe does."""
    environment = os.environ
    file = load(Path(environment.get("NATOBS_PROBES") or Path(__file__).with_name("probes.toml")))
    gateway, endpoint = environment.get("NATOBS_PUSHGATEWAY"), environment.get("NATOBS_OTLP_ENDPOINT")
    if endpoint:
        file = replace(file, otlp=replace(file.otlp, endpoint=endpoint))
    destination: oneshot.Destination = oneshot.Otlp()
    if gateway:
        grouping = [text for text in environment.get("NATOBS_GROUPING", "").split(",") if text]
        destination = oneshot.Pushgateway(gateway, grouping=oneshot.read_grouping(grouping))
    left: int = context.get_remaining_time_in_millis()  # type: ignore[attr-defined]  # of AWS Lambda
    done = oneshot.run(file, destination, left / 1000 - SPARE_SECONDS)
    return {"targets": done.targets, "failed": done.failed, "unfinished": done.unfinished}
