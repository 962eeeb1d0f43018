"""How the arguments of a call are read: what a client means is understood, and text stays text."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from m365_mcp.tools.reading import MAX_PARTS, MAX_TEXT, read_arguments
from tests.schemas import TOOL_SCHEMAS
from tests.yardstick import idle_core_seconds

SCHEMAS = {name: tool["inputSchema"] for name, tool in TOOL_SCHEMAS.items()}
MAIL = {"to": ["a@x.example"], "subject": "Hi", "body": "Text"}
FILE = {"name": "a.txt", "content_base64": "QQ=="}
EMPTY: list[Any] = [None, "", "  ", "\n", [], {}, [""], [None], ["", " "], [{}], "[]", "{}", '[""]', "null", "None"]
OPTIONAL = [
    (tool, name, schema)
    for tool, whole in SCHEMAS.items()
    for name, schema in whole["properties"].items()
    if name not in whole.get("required", ())
]


def read(tool: str = "send_mail", /, **arguments: Any) -> dict[str, Any]:
    return read_arguments(arguments, SCHEMAS[tool])


@pytest.mark.parametrize(
    "given",
    [
        ["a@x.example", "b@x.example"],
        '["a@x.example","b@x.example"]',
        ' [ "a@x.example" , "b@x.example" ]\n',
        ['["a@x.example","b@x.example"]'],
        ["a@x.example", '["b@x.example"]'],
    ],
)
@pytest.mark.parametrize("name", ["to", "cc", "bcc", "reply_to"])
def test_k8_list_as_json_text_is_the_list(name: str, given: Any) -> None:
    """K8: a list of addresses may be JSON text, as a whole or entry by entry."""
    assert read(**{name: given}) == {name: ["a@x.example", "b@x.example"]}


@pytest.mark.parametrize(
    "address", ["a@x.example", "Ada <a@x.example>", "[EXT] Ada <a@x.example>", "a@x.example, b@x.example", "[a", "{a}"]
)
def test_k8_single_address_is_a_list_of_one(address: str) -> None:
    """K8: one address where a list is expected is one entry, whatever it holds."""
    assert read(to=address) == {"to": [address]}


@pytest.mark.parametrize(
    "given", [[FILE], FILE, json.dumps([FILE]), json.dumps(FILE), [json.dumps(FILE)], [json.dumps([FILE])]]
)
def test_k8_objects_as_json_text_are_the_objects(given: Any) -> None:
    """K8: files may be JSON text, as a whole or entry by entry, and one alone need not be in a list."""
    assert read(attachments=given) == {"attachments": [FILE]}


@pytest.mark.parametrize(("tool", "name", "schema"), OPTIONAL, ids=[f"{tool}-{name}" for tool, name, _ in OPTIONAL])
def test_k8_empty_optional_argument_is_left_out(tool: str, name: str, schema: dict[str, Any]) -> None:
    """K8: null and everything empty mean "not given", for every optional argument of every tool."""
    is_free_text = schema["type"] == "string" and "enum" not in schema
    wording = [value for value in EMPTY if not (isinstance(value, str) and value.strip())]
    for value in wording if is_free_text else EMPTY:
        assert read(tool, **{name: value}) == {}, value


def test_k8_required_argument_that_is_empty_is_passed_on() -> None:
    """K8: what is required and empty gets its own error; null counts as missing."""
    assert read(to="", subject="", body=" ") == {"to": [], "subject": "", "body": " "}
    assert read(to=[""], subject=None, body=None) == {"to": [""]}
    assert read("attach_files", files="") == {"files": []}


def test_k8_empty_entry_beside_others_is_passed_on() -> None:
    """K8: a recipient may be missing there, so the entry is not dropped in silence."""
    assert read(cc=["a@x.example", ""]) == {"cc": ["a@x.example", ""]}


@pytest.mark.parametrize("text", ['["a"]', '{"a": 1}', "[x]", "true", "10", "null", "[]", "{}", '"a"'])
@pytest.mark.parametrize("name", ["subject", "body"])
def test_k8_text_stays_text(name: str, text: str) -> None:
    """K8: a subject or a body that looks like JSON is sent as it is."""
    assert read(**{name: text}) == {name: text}


@pytest.mark.parametrize("text", ["true", "True", " TRUE "])
def test_k8_boolean_as_text(text: str) -> None:
    """K8: true and false may be text."""
    assert read(save_to_sent=text, as_written=text.lower().replace("true", "false")) == {
        "save_to_sent": True,
        "as_written": False,
    }


@pytest.mark.parametrize("value", ["10", " 10 ", "+10", 10, 10.0])
def test_k8_integer_as_text(value: Any) -> None:
    """K8: an integer may be text, or a number with a zero after the point."""
    assert read("find_people", query="ada", top=value) == {"query": "ada", "top": 10}


def test_k8_choices_in_any_case() -> None:
    """K8: a word of a closed list may be written in any case and with blanks; another word is passed on."""
    assert read(content_type="markdown", importance=" HIGH ") == {"content_type": "Markdown", "importance": "high"}
    assert read("list_messages", folder="Inbox") == {"folder": "inbox"}
    assert read(importance="urgent") == {"importance": "urgent"}


def test_k8_fields_of_files_are_read_the_same() -> None:
    """K8: inside an attachment or a file, empty optional fields are left out and numbers may be text."""
    assert read(attachments=[{**FILE, "content_id": "", "content_type": None}]) == {"attachments": [FILE]}
    assert read("attach_files", files=[{"name": "a", "size": "12"}, {"name": "b", "size": ""}]) == {
        "files": [{"name": "a", "size": 12}, {"name": "b"}]
    }


def test_k8_what_cannot_be_read_is_passed_on() -> None:
    """K8: reading refuses nothing; an unknown name, and a value of another kind, reach validation as they are."""
    odd: dict[str, Any] = {"to": {"a": 1}, "cc": 5, "attachments": "no list", "save_to_sent": "maybe", "x": ""}

    assert read(**odd) == odd


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 300 + "]" * 300, '["' + "a" * MAX_TEXT + '"]', "[" + "[]," * MAX_PARTS + "[]]", '["\ud800"]'],
    ids=["open", "deep", "long", "many", "surrogate"],
)
def test_k8_json_text_has_limits(text: str) -> None:
    """K8: text that is too deep, too long or of too many parts is not read as JSON, and raises nothing."""
    assert read(to=text) == {"to": [text]}
    assert read(attachments=text) == {"attachments": text}


def test_k8_large_attachments_as_text_are_read_at_once() -> None:
    """K8: the largest attachments of a call, as JSON text, cost little to read."""
    content = base64.b64encode(bytes(3_000_000)).decode()
    text = json.dumps([{"name": "a.bin", "content_base64": content}])

    assert read(attachments=text) == {"attachments": [{"name": "a.bin", "content_base64": content}]}
    assert idle_core_seconds(lambda: read(attachments=text), enough=0.1) < 0.1


@pytest.mark.parametrize("entry", ["[", "", '["a"]', "[]", None])
def test_k8_long_lists_are_not_looked_at(entry: str | None) -> None:
    """K8: a list of millions of entries costs no more than passing it on."""
    entries = [entry] * 1_000_000

    assert read(to=entries, cc=entries) == {"to": entries, "cc": entries}
    assert idle_core_seconds(lambda: read(to=entries, cc=entries), enough=0.1) < 0.1


def test_k8_entries_as_text_have_their_limit_together() -> None:
    """K8: many entries, each of which is JSON text of many objects, cost no more than passing them on."""
    entries = ["[" + "{}," * 5_000 + "{}]"] * 1_000

    assert read(attachments=entries) == {"attachments": entries}
    assert idle_core_seconds(lambda: read(attachments=entries), enough=0.3) < 0.3
