"""The page for people: lists, reading pane, escaping, and the event stream."""

import json
from collections.abc import AsyncIterator
from html import unescape

import pytest
from starlette.requests import Request

from m365_simulator import Simulator
from m365_simulator.mailbox_page import events

from .client import Client, mail

SCRIPT = "<script>alert(1)</script>"


async def test_empty_folders_say_so(client: Client) -> None:
    """Nothing arrived, nothing was sent, and no licence are three different sentences."""
    inbox = (await client.tester.get("/")).text
    sent = (await client.tester.get("/?person=grace&folder=sent")).text
    none = (await client.tester.get("/?person=linus")).text

    assert "What arrives appears here by itself." in inbox
    assert "What Grace sends appears here by itself." in sent
    assert "Linus has no Exchange Online licence." in none


async def test_message_is_listed_and_read(client: Client) -> None:
    """The recipient finds the message in the Inbox, the sender in Sent Items with the blind copies."""
    blind = [{"emailAddress": {"address": "blind@fabrikam.example"}}]
    await client.send(await client.graph_headers(), mail(bccRecipients=blind, subject="Loom"))
    (sent,) = await client.outbox()

    inbox = (await client.tester.get("/", params={"person": "grace", "message": sent["internetMessageId"]})).text
    own = (await client.tester.get("/", params={"person": "ada", "folder": "sent", "message": sent["id"]})).text

    assert "Loom" in inbox
    assert "blind@fabrikam.example" not in inbox
    assert "blind@fabrikam.example" in own
    assert sent["internetMessageId"] in unescape(inbox)


async def test_html_mail_is_locked_in(client: Client) -> None:
    """The body of an HTML mail stands in a sandboxed frame whose policy allows no script and no network."""
    body = {"contentType": "HTML", "content": f'{SCRIPT}"></iframe><img src=x onerror=alert(2)>'}
    await client.send(await client.graph_headers(), mail(body=body))
    (sent,) = await client.outbox()

    page = (await client.tester.get("/", params={"person": "grace", "message": sent["internetMessageId"]})).text

    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert 'sandbox=""' in frame
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in unescape(frame)
    assert SCRIPT not in page
    assert "<img" not in page


async def test_everything_else_is_escaped(client: Client, simulator: Simulator) -> None:
    """Subjects, names, headers, attachment names and plain text are shown as text."""
    simulator.tenant.change_person("ada", display_name=SCRIPT)
    await client.send(
        await client.graph_headers(),
        mail(
            subject=SCRIPT,
            body={"contentType": "Text", "content": SCRIPT},
            toRecipients=[{"emailAddress": {"address": "grace@contoso.example", "name": SCRIPT}}],
            internetMessageHeaders=[{"name": f"x-{SCRIPT}", "value": SCRIPT}],
            attachments=[{"@odata.type": "#microsoft.graph.fileAttachment", "name": SCRIPT, "contentBytes": ""}],
        ),
    )
    (sent,) = await client.outbox()

    for folder, person in (("inbox", "grace"), ("sent", "ada")):
        page = await client.tester.get(
            "/", params={"person": person, "folder": folder, "message": sent["internetMessageId"]}
        )
        assert page.text.count("&lt;script&gt;") > 5
        assert SCRIPT not in page.text


async def test_page_has_a_strict_policy(client: Client) -> None:
    """Scripts come from the page's own origin only, and nothing may frame it."""
    response = await client.tester.get("/?person=nobody&folder=nothing&message=none")

    policy = response.headers["content-security-policy"]
    assert response.status_code == 200
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in response.text


@pytest.mark.parametrize(("path", "kind"), [("style.css", "text/css"), ("mailbox.js", "text/javascript")])
async def test_assets_are_packaged(client: Client, path: str, kind: str) -> None:
    """Style and script come with the package."""
    response = await client.tester.get(f"/assets/{path}")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)


async def stream(simulator: Simulator) -> AsyncIterator[str]:
    """Open the event stream without a socket: the in-process transport waits for the end of a body."""
    app = getattr(simulator.tester, "_app")  # noqa: B009 - the app behind the guard
    response = await events(Request({"type": "http", "app": app, "headers": [], "method": "GET", "path": "/events"}))
    async for chunk in response.body_iterator:  # type: ignore[attr-defined]
        yield str(chunk)


async def test_stream_announces_mail(client: Client, simulator: Simulator) -> None:
    """The stream tells where it stands at once, and again when mail arrives."""
    chunks = stream(simulator)
    headers = await client.graph_headers()
    first = [await anext(chunks), await anext(chunks)]

    await client.send(headers)
    second = await anext(chunks)

    assert first[0] == "retry: 1000\n\n"
    before, after = (json.loads(text.partition("data: ")[2])["revision"] for text in (first[1], second))
    assert before != after
    assert f'data-revision="{after}"' in (await client.tester.get("/")).text


async def test_stream_ends_when_the_simulator_stops(client: Client, simulator: Simulator) -> None:
    """Closing ends open streams and refuses new ones."""
    chunks = stream(simulator)
    await anext(chunks)
    await anext(chunks)

    simulator.close()

    assert [chunk async for chunk in chunks] == []
    assert (await client.tester.get("/events")).status_code == 503


async def test_deferred_mail_appears_when_it_falls_due(client: Client) -> None:
    """A deferred message is not in the Inbox before its time."""
    extended = [{"id": "SystemTime 0x3FEF", "value": "2027-01-15T09:00:00Z"}]
    await client.send(await client.graph_headers(), mail(subject="Tomorrow", singleValueExtendedProperties=extended))

    early = (await client.tester.get("/?person=grace")).text
    await client.control("PATCH", "clock", {"offset_seconds": 3601})
    late = (await client.tester.get("/?person=grace")).text

    assert "Tomorrow" not in early
    assert "Tomorrow" in late
