"""Finding messages: filters, extended properties, order, folders, and what a basic permission hides."""

import pytest

from .client import Client, Json, mail

MARKER = "String {8ECCC264-6880-4EBE-992F-8888D2EEAA1D} Name m365mcp-id"


def marked(value: str) -> Json:
    """Return the property that marks a message."""
    return {"singleValueExtendedProperties": [{"id": MARKER, "value": value}]}


def by_marker(value: str, name: str = MARKER) -> str:
    """Return the filter in the documented syntax."""
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{value}')"


async def found(client: Client, headers: dict[str, str], path: str, **query: str) -> list[Json]:
    """Return the messages that a query finds."""
    response = await client.graph("GET", path, headers, params={f"${name}": text for name, text in query.items()})
    assert response.status_code == 200, response.text
    return list(response.json()["value"])


async def test_marker_finds_drafts_and_sent_messages(client: Client) -> None:
    """An extended property is stored by every way of sending and found in any case, expanded in lower case."""
    headers = await client.mail_headers()
    draft = await client.draft(headers, **marked("it's 1"))
    await client.send(headers, mail(**marked("2")))

    (one,) = await found(client, headers, "me/mailFolders/drafts/messages", filter=by_marker("it''s 1", MARKER.lower()))
    (two,) = await found(
        client,
        headers,
        "me/mailFolders/sentitems/messages",
        filter=by_marker("2"),
        expand=f"singleValueExtendedProperties($filter=id eq '{MARKER}')",
        select="id",
    )
    await client.graph("POST", f"me/messages/{draft['id']}/send", headers)

    assert one["id"] == draft["id"]
    assert "singleValueExtendedProperties" not in one
    assert two["singleValueExtendedProperties"] == [{"id": MARKER.lower(), "value": "2"}]
    assert len(await found(client, headers, "me/mailFolders/sentitems/messages", filter=by_marker("it''s 1"))) == 1
    assert await found(client, headers, "me/mailFolders/drafts/messages", filter=by_marker("it''s 1")) == []
    assert await found(client, headers, "me/messages", filter=by_marker("3")) == []


async def test_recipients_copy_has_no_extended_property(client: Client) -> None:
    """A client's property stays in the sender's mailbox."""
    await client.send(await client.mail_headers(), mail(**marked("1")))
    grace = await client.mail_headers("grace@contoso.example")

    assert await found(client, grace, "me/messages", filter=by_marker("1")) == []
    assert len(await found(client, grace, "me/mailFolders/inbox/messages")) == 1


@pytest.mark.parametrize("value", ["a) and (b", "it's", " and ", "(", "ü&#+%"])
async def test_value_may_be_any_text(client: Client, value: str) -> None:
    """Quotes are doubled; parentheses, the word `and` and other letters need no care."""
    headers = await client.mail_headers()
    await client.draft(headers, **marked(value))
    quoted = by_marker(value.replace("'", "''"))

    assert len(await found(client, headers, "me/messages", filter=f"isDraft eq true and {quoted}")) == 1
    assert len(await found(client, headers, "me/messages", filter=f"{quoted} and isDraft eq true")) == 1


async def test_changing_a_property_keeps_the_others(client: Client) -> None:
    """PATCH merges extended properties by id."""
    headers = await client.mail_headers()
    draft = await client.draft(headers, **marked("1"))
    change = {"singleValueExtendedProperties": [{"id": "Integer 0x1080", "value": "1"}]}

    await client.graph("PATCH", f"me/messages/{draft['id']}", headers, json=change)

    expand = f"singleValueExtendedProperties($filter=id eq '{MARKER}' or id eq 'integer 0x1080')"
    read = await client.graph("GET", f"me/messages/{draft['id']}", headers, params={"$expand": expand})
    assert len(read.json()["singleValueExtendedProperties"]) == 2


async def test_message_id_time_and_flags(client: Client) -> None:
    """Messages are found by Message-ID, by time and by being drafts, joined by `and`."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)
    await client.control("PATCH", "clock", {"offset_seconds": 60})
    await client.send(headers, mail(internetMessageId="<own@contoso.example>"))
    by_id = "internetMessageId eq '<own@contoso.example>'"

    assert len(await found(client, headers, "me/messages", filter=by_id)) == 1
    assert len(await found(client, headers, "me/messages", filter=f"isDraft eq false and {by_id}")) == 1
    assert await found(client, headers, "me/messages", filter=f"{by_id} and {by_marker('1')}") == []
    (only,) = await found(client, headers, "me/messages", filter="isDraft eq true")
    assert only["id"] == draft["id"]
    late = "sentDateTime ge 2027-01-15T08:00:30Z"
    assert len(await found(client, headers, "me/messages", filter=late, orderby="sentDateTime desc")) == 1


async def test_order(client: Client) -> None:
    """Newest first unless asked otherwise."""
    headers = await client.mail_headers()
    for number in range(3):
        await client.control("PATCH", "clock", {"offset_seconds": number})
        await client.send(headers, mail(subject=str(number)))

    for order, expected in (("sentDateTime desc", "210"), ("sentDateTime", "012"), ("sentDateTime asc", "012")):
        messages = await found(client, headers, "me/mailFolders/sentitems/messages", orderby=order)
        assert "".join(message["subject"] for message in messages) == expected


async def test_sorting_what_is_not_filtered_is_inefficient(client: Client) -> None:
    """A property in `$orderby` must come first in `$filter`, as the page "List messages" says."""
    query = {"$filter": "internetMessageId eq '<a@b>'", "$orderby": "sentDateTime desc"}

    response = await client.graph("GET", "me/messages", await client.mail_headers(), params=query)

    assert (response.status_code, response.json()["error"]["code"]) == (400, "InefficientFilter")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("filter", "singleValueExtendedProperties/Any(ep: ep/id eq 'String 0x7001')"),
        ("filter", "internetMessageId eq <a@b>"),
        ("filter", "sentDateTime ge 2027-99-99"),
        ("expand", "attachments"),
        ("select", "shoeSize"),
        ("orderby", "subject"),
        ("search", '"x"'),
    ],
)
async def test_wrong_query_is_refused(client: Client, name: str, text: str) -> None:
    """What Graph would not take, or what is not modelled, is 400."""
    response = await client.graph("GET", "me/messages", await client.mail_headers(), params={f"${name}": text})

    assert response.status_code == 400


async def test_unknown_folder(client: Client) -> None:
    """A folder that does not exist is 404; its id is as good as its name."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)

    assert (await client.graph("GET", "me/mailFolders/attic/messages", headers)).status_code == 404
    assert len(await found(client, headers, f"me/mailFolders/{draft['parentFolderId']}/messages")) == 1


async def test_folder_has_the_id_that_its_messages_name(client: Client) -> None:
    """`parentFolderId` of a sent message is the id of Sent Items, asked for by its well-known name."""
    headers = await client.mail_headers()
    await client.send(headers)

    folder = (await client.graph("GET", "me/mailFolders/sentitems?$select=id", headers)).json()
    (sent,) = (await client.graph("GET", "me/mailFolders/sentitems/messages", headers)).json()["value"]
    unknown = await client.graph("GET", "me/mailFolders/none", headers)
    odd = await client.graph("GET", "me/mailFolders/inbox?$select=shoeSize", headers)

    assert folder["id"] == sent["parentFolderId"]
    assert set(folder) == {"@odata.context", "id"}
    assert [unknown.status_code, odd.status_code] == [404, 400]


async def test_malformed_id_is_not_looked_for(client: Client) -> None:
    """What does not look like an id is 400 ErrorInvalidIdMalformed; an id that finds nothing is 404."""
    headers = await client.mail_headers()

    malformed = await client.graph("GET", "me/messages/12345", headers)
    unknown = await client.graph("GET", "me/messages/AAMkNone=", headers)

    assert (malformed.status_code, malformed.json()["error"]["code"]) == (400, "ErrorInvalidIdMalformed")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "ErrorItemNotFound")


async def test_aliases_are_addresses_of_the_mailbox(client: Client) -> None:
    """Mail to an alias arrives, and `proxyAddresses` shows it when it is selected."""
    await client.control("PATCH", "people/ada", {"aliases": ["a.lovelace@contoso.example"]})
    await client.send(await client.mail_headers("grace@contoso.example"), mail("a.lovelace@contoso.example"))

    profile = await client.graph("GET", "me?$select=proxyAddresses", await client.graph_headers())
    inbox = await client.graph("GET", "me/mailFolders/inbox/messages", await client.mail_headers())

    assert profile.json()["proxyAddresses"] == ["SMTP:ada@contoso.example", "smtp:a.lovelace@contoso.example"]
    assert [one["subject"] for one in inbox.json()["value"]] == ["Engine"]


async def test_basic_permission_hides_text_and_properties(client: Client) -> None:
    """Mail.ReadBasic lists the Inbox without text, and may not touch extended properties."""
    await client.send(await client.mail_headers())
    basic = await client.mail_headers("grace@contoso.example", "Mail.ReadBasic")

    (message,) = await found(client, basic, "me/mailFolders/inbox/messages")
    one = await client.graph("GET", f"me/messages/{message['id']}", basic)
    refused = await client.graph("GET", "me/messages", basic, params={"$filter": by_marker("1")})

    assert (message["subject"], message["isRead"]) == ("Engine", False)
    assert not {"body", "bodyPreview"} & {*message, *one.json()}
    assert refused.status_code == 403
