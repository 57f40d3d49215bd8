"""What holds between two readings of accounting, whatever happened between them."""


def check_sums(before: dict[str, float], after: dict[str, float]) -> None:
    """The series of each protocol, and those of all hosts, add up to what the totals grew by; none has fallen."""

    def grown(start: str, end: str = "") -> float:
        return sum(
            value - before.get(name, 0.0)
            for name, value in after.items()
            if name.startswith(start) and name.endswith(end) and (name in before or value)
        )

    for name in before.keys() & after.keys():
        if "_total" in name:
            assert after[name] >= before[name], name
    attempts = 0.0
    for protocol in ("tcp", "udp", "icmp", "other"):
        total = grown(f"natobs_outbound_attempts_total {protocol}")
        attempts += total
        assert grown("natobs_destination_attempts_total", f" {protocol}") == total
        answered = grown(f"natobs_outbound_answered_total {protocol}")
        assert grown("natobs_destination_answered_total", f" {protocol}") == answered
    assert grown("natobs_host_attempts_total") == attempts
