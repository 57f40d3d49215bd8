"""What a stack consists of, worked out without running it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from natobs.errors import LabError
from natobs.lab import topology
from natobs.lab.lab import Lab
from natobs.lab.stack.plan import StackPlan, Target, Timing, cluster


def test_every_target_has_the_labels_that_rules_group_by() -> None:
    plan = cluster("game", topology.two_armed, nats=2)
    labels = [(target.job, dict(target.labels)) for target in plan.targets()]
    agents = [own for job, own in labels if job == "natobs-agent"]
    probers = [own for job, own in labels if job == "natobs-probe"]
    assert agents == [
        {"nat_cluster": "game", "nat": "nat1", "instance": "nat1"},
        {"nat_cluster": "game", "nat": "nat2", "instance": "nat2"},
    ]
    assert probers[2] == {"nat_cluster": "game", "nat": "nat2", "subnet": "private1", "instance": "nat2-client1"}
    assert [own["subnet"] for own in probers] == ["private1", "private2", "private1", "private2"]


def test_a_way_leads_from_the_monitor_to_each_target_and_no_two_share_a_port() -> None:
    plan = cluster("game", topology.two_armed, nats=3)
    ways = plan.ways()
    assert len(ways) == len(plan.targets()) == 9
    assert ways[0].namespace == "natobs-game-nat"
    assert ways[-1].namespace == "natobs-game-3-client3"
    assert [way.port for way in ways[:3]] == [9650, 9651, 9651]
    ports = [way.listen for way in ways]
    assert all(one < other for one, other in pairwise(ports))


def test_more_can_be_scraped_than_agents_and_probers() -> None:
    extra = Target(job="node", world=0, host="nat", port=9100, labels=(("instance", "nat1"),))
    plan = replace(cluster("game", topology.two_armed), extra=(extra,))
    assert plan.targets()[-1] == extra
    assert (plan.ways()[-1].port, plan.ways()[-1].namespace) == (9100, "natobs-game-nat")


def test_one_client_of_each_subnet_probes_and_the_others_have_users() -> None:
    plan = cluster("game", topology.two_armed)
    (world,) = plan.topologies
    assert plan.probers(world) == ("client1", "client3")
    assert plan.users(world) == ("client2", "client4")
    small = replace(world, subnets=topology.subnets(2, clients=1))
    assert plan.users(small) == plan.probers(small) == ("client1", "client2")
    assert replace(plan, rate=0.0).users(world) == ()


def test_the_first_world_alone_has_a_monitor() -> None:
    plan = cluster("game", topology.one_armed, nats=3)
    assert [made.name for made in plan.topologies] == ["game", "game-2", "game-3"]
    assert "monitor" in plan.topologies[0].hosts
    assert "monitor" not in plan.topologies[1].hosts
    with pytest.raises(LabError, match="the first topology of a stack has a monitor"):
        StackPlan(topologies=(topology.two_armed(),))
    with pytest.raises(LabError, match="and no other has"):
        StackPlan(topologies=(plan.topologies[0], replace(topology.two_armed("other"), monitor=True)))


def test_times_shrink_with_the_scale_and_stop_where_they_would_be_senseless() -> None:
    assert Timing(1) == Timing()
    assert (Timing(1).scrape, Timing(1).probe, Timing(1).census, Timing(1).lookback) == (15, 10, 60, 300)
    assert (Timing(5).scrape, Timing(5).probe, Timing(5).census, Timing(5).lookback) == (3, 2, 12, 60)
    assert (Timing(60).scrape, Timing(60).probe, Timing(60).census, Timing(60).lookback) == (1, 1, 2, 5)
    with pytest.raises(LabError, match=r"time scale 0\.5; between 1 and 300"):
        Timing(0.5)


@pytest.mark.parametrize(
    ("name", "nats", "words"), [("game", 0, "0 NATs"), ("game", 10, "10 NATs"), ("fifteen-letters", 1, "14 characters")]
)
def test_what_cannot_be_is_refused(name: str, nats: int, words: str) -> None:
    with pytest.raises(LabError, match=words):
        cluster(name, topology.two_armed, nats=nats)


def test_worlds_of_one_lab_have_names_of_their_own() -> None:
    lab = Lab(topology.two_armed("one"), topology.two_armed("two"))
    assert [world.topology.name for world in lab.worlds] == ["one", "two"]
    with pytest.raises(LabError, match="called alike"):
        Lab(topology.two_armed("one"), topology.one_armed("one"))
