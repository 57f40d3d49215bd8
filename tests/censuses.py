"""Censuses made by hand, for tests of what becomes of them."""

import dataclasses
from collections.abc import Mapping

import msgspec

from natobs.kernel import flow_results as results
from natobs.kernel.flow_worker import Answer, Delivery, RangeFound, Refusal

NAT = "203.0.113.10"
SERVER, OTHER_SERVER = "198.51.100.1", "198.51.100.2"


def census(hosts: Mapping[str, int], *, reason: results.Reason = "", unanswered: int = 0) -> results.Census:
    """Hosts with so many TCP flows each to one server: all but two of its ports in use, these reclaimable."""
    total = sum(hosts.values())
    rows = tuple(results.HostFlows(host, flows, min(flows, unanswered)) for host, flows in hosts.items())
    silent = sum(row.unanswered for row in rows)
    tuples = (
        results.TupleUse(NAT, "tcp", SERVER, 443, max(0, total - 2), 2),
        results.TupleUse(NAT, "tcp", OTHER_SERVER, 443, 5, 0),
        results.TupleUse(NAT, "icmp", SERVER, 0, 3, 0),
        results.TupleUse(NAT, "esp", SERVER, 0, 1, 0),
    )
    totals = results.Totals(total, total, 0, total, silent, 0, total, total, 0, 0, 0, 0)
    figures = results.Figures(
        totals=totals,
        states=(
            results.StateFlows("tcp", "ESTABLISHED", total - 2),
            results.StateFlows("tcp", "TIME_WAIT", 2),
            results.StateFlows("253", "unreplied", 4),
            results.StateFlows("254", "unreplied", 5),
        ),
        hosts=results.Ranking(rows, results.HostFlows("other", 0, 0), len(rows), 0),
        destinations=results.Ranking(
            (
                results.DestinationFlows(SERVER, "tcp", 443, total, silent),
                results.DestinationFlows(OTHER_SERVER, "tcp", 443, 5, 0),
                results.DestinationFlows(SERVER, "253", 0, 4, 0),
            ),
            results.DestinationFlows("other", "", 0, 6, 0),
            20,
            0,
        ),
        tuples=results.Ranking(tuples, results.TupleUse("other", "", "other", 0, 0, 0), 4, 0),
        fullest=(tuples[0], tuples[2], tuples[3]),
        pools=(results.PortPool(NAT, "tcp", total, total + 5), results.PortPool(NAT, "icmp", 3, 3)),
        uncounted_pools=0,
        tenants=(results.TenantFlows("web", total, 0), results.TenantFlows("other", 9, 9)),
    )
    taking = results.Taking(not reason, reason, 1, 0.25, 0.5, 164 * total, total + 1, 0, total, total)
    return results.Census(taking, figures)


def answer(
    hosts: Mapping[str, int] | None = None,
    *,
    reason: results.Reason = "",
    size: int | None = 1000,
    unanswered: int = 0,
) -> Answer:
    """A census of the time 1000, with a range from the ruleset for TCP unless ``size`` is None."""
    ranges = () if size is None else (RangeFound(NAT, "tcp", 1024, 1023 + size),)
    found = census(hosts or {"10.0.0.1": 60, "10.0.0.2": 42}, reason=reason, unanswered=unanswered)
    return Answer(found, ranges, 1000.0, 40_000_000)


def delivery(found: Answer) -> bytes:
    return msgspec.json.encode(Delivery(found))


def refusal(reason: str, detail: str) -> bytes:
    return msgspec.json.encode(Refusal(reason, detail))


def many_hosts(count: int) -> Answer:
    """A census with so many hosts, the first with the most flows, and one flow of others."""
    found = answer({f"10.0.{number // 256}.{number % 256}": count - number for number in range(count)})
    hosts = dataclasses.replace(found.census.figures.hosts, other=results.HostFlows("other", 7, 1))
    figures = dataclasses.replace(found.census.figures, hosts=hosts)
    return msgspec.structs.replace(found, census=dataclasses.replace(found.census, figures=figures))
