"""The server card, its catalogue, and server.json: valid by their published schemas, and true."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from m365_mcp import __version__, settings
from m365_mcp.app import MCP_PATH
from m365_mcp.web.pages.product import Product
from m365_mcp.web.server_card import CARD_PATH, CATALOG_PATH, server_card
from tests.ids import IDS
from tests.web.apps import opened

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "tests" / "published"
BASE = "https://mcp.example.com/mail"


def card_mistakes(card: dict[str, Any]) -> list[str]:
    schema = json.loads((PUBLISHED / "server-card.schema.json").read_text())
    validator = jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/ServerCard"})
    return [error.message for error in validator.iter_errors(card)]


async def test_mcp_server_card_is_served_where_it_is_switched_on() -> None:
    """With mcp_server_card, card and catalogue lead to the endpoint; without it, both are 404."""
    async with opened(mcp_server_card=True, mcp_server_base_url=BASE, mcp_product_name="Contoso") as http:
        catalog = (await http.get(CATALOG_PATH)).json()
        [entry] = catalog["entries"]
        card = await http.get(entry["url"])
    async with opened() as http:
        without = [(await http.get(path)).status_code for path in (CARD_PATH, CATALOG_PATH)]

    assert card.headers["Content-Type"] == entry["type"] == "application/mcp-server-card+json"
    assert card.json()["remotes"] == [{"type": "streamable-http", "url": f"{BASE}{MCP_PATH}"}]
    assert (card.json()["title"], card.json()["version"]) == ("Contoso", __version__)
    assert card.json()["icons"][0]["src"] == f"{BASE}/icon"
    assert entry["identifier"] == "urn:air:mcp.example.com:mcp:m365-mcp-server"
    assert without == [404, 404]


@pytest.mark.parametrize(
    "base", [BASE, "https://mcp.example.com", "http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"]
)
def test_card_is_valid_by_the_published_schema(base: str) -> None:
    """Every form of a public URL gives a card that SEP-2127's schema takes; a planted mistake is found."""
    product = Product.of(settings.load(**IDS, mcp_server_base_url=base, mcp_product_name="N" * 60, _env_file=None))
    card = server_card(product)

    assert card_mistakes(card) == []
    assert card_mistakes({**card, "name": "m365"})


@pytest.mark.parametrize("path", [CARD_PATH, CATALOG_PATH])
async def test_card_is_public_cached_and_readable_by_every_page(path: str) -> None:
    """GET and HEAD answer pages of every origin, an ETag spares the second answer, and POST is 405."""
    foreign = {"Origin": "https://elsewhere.example"}
    preflight = foreign | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "If-None-Match"}
    async with opened(mcp_server_card=True) as http:
        first = await http.get(path, headers=foreign)
        head = await http.head(path)
        again = await http.get(path, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
        changed = await http.get(path, headers={"If-None-Match": '"other"'})
        allowed = await http.options(path, headers=preflight)
        refused = await http.post(path, json={})

    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert first.headers["Cache-Control"] == "public, max-age=3600"
    assert (first.status_code, head.status_code, again.status_code, changed.status_code) == (200, 200, 304, 200)
    assert (allowed.status_code, refused.status_code, again.content) == (200, 405, b"")
    assert "set-cookie" not in first.headers


def test_card_is_where_mcp_reserves_it() -> None:
    """The card's path is that of the endpoint and `/server-card`."""
    assert f"{MCP_PATH}/server-card" == CARD_PATH


def test_server_json_is_valid_and_has_the_projects_version() -> None:
    """The registry's published schema takes server.json, and it has the version of pyproject.toml."""
    schema = json.loads((PUBLISHED / "server.schema.json").read_text())
    document = json.loads((ROOT / "server.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    validator = jsonschema.Draft7Validator(schema)

    assert [error.message for error in validator.iter_errors(document)] == []
    assert list(validator.iter_errors({**document, "version": None}))
    assert document["$schema"] == schema["$id"]
    assert document["version"] == project["version"]
    assert document["remotes"][0]["url"].format(host="mcp.example.com").endswith(MCP_PATH)
