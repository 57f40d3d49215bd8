"""Documents of file_sd and http_sd: what is read, what is refused, and in which words."""

import json
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.errors import ConfigError
from natobs.probes.sd_document import Form, parse

MOST = 1000
NAMES = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True) | st.ip_addresses(v=4).map(str)
PLACES = st.one_of(
    NAMES,
    st.tuples(NAMES, st.integers(0, 65535)).map(lambda pair: f"{pair[0]}:{pair[1]}"),
    st.ip_addresses(v=6).map(str),
    st.tuples(st.ip_addresses(v=6), st.integers(0, 65535)).map(lambda pair: f"[{pair[0]}]:{pair[1]}"),
)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"targets": st.lists(PLACES, max_size=8)},
        optional={"labels": st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)},
    ),
    max_size=6,
)


def expected(groups: list[dict[str, list[str]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group["targets"]))


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_targets_of_all_groups_each_once_and_labels_are_of_no_effect(form: Form) -> None:
    text = (
        b'[{"targets": ["a:1", "[2001:db8::1]:2"], "labels": {"zone": "x"}}, {"labels": {}}, {"targets": ["a:1", "b"]}]'
    )
    assert parse(text, form, "x", MOST) == ("a:1", "[2001:db8::1]:2", "b")
    assert parse(b"[]", form, "x", MOST) == ()


def test_yaml_as_people_write_it() -> None:
    text = b"""%YAML 1.1
---
# the subnet's services
- targets:
    - api.example.com:443
    - 'db.example.com:5432'
    - "2001:db8::1"
    - >-
      folded.example.com
  labels:
    env: prod   # ignored
- targets: [10.0.0.1]
"""
    assert parse(text, "yaml", "x", MOST) == (
        "api.example.com:443",
        "db.example.com:5432",
        "2001:db8::1",
        "folded.example.com",
        "10.0.0.1",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"targets": []}', "d.json: document: expected a list of groups, found a table"),
        (b"null", "d.json: document: expected a list of groups, found nothing"),
        (b"[1]", "d.json: [0]: expected a table with targets, found a number"),
        (b'[{"targets": ["a"]}, {"targets": [7]}]', "d.json: [1].targets[0]: expected text, found a number"),
        (b'[{"targets": ["a", true]}]', "d.json: [0].targets[1]: expected text, found true or false"),
        (b'[{"targets": "a"}]', "d.json: [0].targets: expected a list, found text"),
        (b'[{"targets": [["a"]]}]', "d.json: [0].targets[0]: expected text, found a list"),
        (b'[{"targets": [], "labels": []}]', "d.json: [0].labels: expected a table, found a list"),
        (b'[{"targets": [], "labels": {"a": 1}}]', "d.json: [0].labels.a: expected text, found a number"),
        (b'[{"target": []}]', "d.json: [0].target: unknown key; known here: targets, labels"),
        (b'[{"targets": ["a b"]}]', "d.json: [0].targets[0]: target 'a b': expected HOST, HOST:PORT or [IPV6]:PORT"),
        (b'[{"targets": ["a:66000"]}]', "d.json: [0].targets[0]: target 'a:66000': expected HOST"),
        (b'[{"targets": ["a:%b"]}]' % (b"1" * 5000), "d.json: [0].targets[0]: target 'a:111"),
        (b'[{"targets": [""]}]', "d.json: [0].targets[0]: target ''"),
        (b"<!doctype html>", "d.json: JSON is malformed"),
        (b"[" * 100_000, "d.json: nested too deeply"),
        (b'[{"targets": ["\xff"]}]', "d.json: "),
        (b"", "d.json: Input data was truncated"),
    ],
)
def test_what_is_wrong_in_json_is_named_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "json", "d.json", MOST)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "d.yml: document: expected a list of groups, found nothing"),
        (b"- targets: [a, 12]", "d.yml: [0].targets[1]: expected text, found a number"),
        (b"- targets: [2024-01-01]", "d.yml: [0].targets[0]: expected text, found a number"),
        (b"- targets: [~]", "d.yml: [0].targets[0]: expected text, found nothing"),
        (b"- targets: [yes]", "d.yml: [0].targets[0]: expected text, found true or false"),
        (b"- targets: [a]\n  targets: [b]", "d.yml: line 1: targets is given twice in one table"),
        (b"- 1: [a]", "d.yml: line 1: a key that is no text"),
        (b"- &a {targets: [x]}\n- *a", "d.yml: line 2: an alias; write its text instead"),
        (b"- !!python/object/apply:os.system [ls]", "d.yml: line 1: the tag tag:yaml.org,2002:python/object/apply"),
        (b"- targets: [a]\n---\n- targets: [b]", "d.yml: line 2: a second document"),
        (b"- targets: [a\n", "d.yml: line 2: "),
        (b"\xff\xfe", "d.yml: not UTF-8"),
        (b"\x01", "d.yml: holds characters that YAML does not allow"),
        (b"[" * 100_000, "d.yml: line 1: nested too deeply"),
        (b"- targets: [<<]", "d.yml: [0].targets[0]: expected text, found a number"),
    ],
)
def test_what_is_wrong_in_yaml_is_named_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "yaml", "d.yml", MOST)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_more_targets_than_there_may_be(form: Form) -> None:
    text = json.dumps([{"targets": [f"host-{n}" for n in range(11)]}]).encode()
    assert len(parse(text, form, "x", 11)) == 11
    with pytest.raises(ConfigError, match=r"^x: more than 10 targets, which is prober\.max_targets$"):
        parse(text, form, "x", 10)


def test_bombs_cost_no_more_than_their_size() -> None:
    laughs = ["a: &a [x, x]"] + [
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)
    ]
    merges = ["a: &a {k: v}"] + [f"b{n}: &a {{<<: [*a, *a, *a, *a]}}" for n in range(30)]
    tracemalloc.start()
    try:
        for bomb in ("\n".join(laughs), "\n".join(merges), "? " * 200_000, "- " * 200_000, "{a: " * 200_000):
            start = time.thread_time()
            with pytest.raises(ConfigError):
                parse(bomb.encode(), "yaml", "x", MOST)
            assert time.thread_time() - start < 2
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@given(GROUPS)
def test_json_that_is_good_is_read(groups: list[dict[str, list[str]]]) -> None:
    assert parse(json.dumps(groups).encode(), "json", "x", MOST) == expected(groups)


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.sampled_from([True, False]))
def test_yaml_that_is_good_is_read_as_the_safe_loader_reads_it(
    groups: list[dict[str, list[str]]],
    flow: bool,  # noqa: FBT001 - hypothesis chooses
) -> None:
    text = yaml.safe_dump(groups, default_flow_style=flow)
    assert parse(text.encode(), "yaml", "x", MOST) == expected(yaml.safe_load(text)) == expected(groups)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["targets", "labels", "x"]) | st.text(max_size=5), inner, max_size=4)
    ),
)


def read(data: bytes, form: Form) -> tuple[str, ...] | str:
    """Targets, or the words of the refusal; any other error escapes."""
    try:
        return parse(data, form, "x", MOST)
    except ConfigError as error:
        return str(error)


@given(JSON, st.sampled_from(["json", "yaml"]))
def test_whatever_a_document_holds_it_is_read_or_refused(document: object, form: Form) -> None:
    found = read(json.dumps(document).encode(), form)
    if isinstance(found, str):
        assert found.startswith("x: ")
    else:
        assert isinstance(document, list)
        assert set(found) <= {text for group in document for text in group.get("targets", [])}


@given(st.binary(max_size=300), st.sampled_from(["json", "yaml"]))
def test_bytes_are_read_or_refused(data: bytes, form: Form) -> None:
    found = read(data, form)
    assert isinstance(found, tuple) or found.startswith("x: ")


@given(GROUPS, st.sampled_from(["json", "yaml"]), st.data())
def test_a_document_that_was_cut_is_no_shorter_one(
    groups: list[dict[str, list[str]]], form: Form, data: st.DataObject
) -> None:
    text = json.dumps([*groups, {"targets": ["last"]}]).encode()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(ConfigError):
        parse(cut, form, "x", MOST)
