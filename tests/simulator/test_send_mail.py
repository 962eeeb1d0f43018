"""sendMail: what is taken, what is refused, and where the mail ends up."""

import asyncio
import base64
import hashlib
from email.message import EmailMessage
from typing import Any

import pytest

from m365_simulator import Simulator

from .client import USER_READ, Client, Json, mail


def to(*addresses: str) -> list[Json]:
    """Return recipients as Graph writes them."""
    return [{"emailAddress": {"address": address}} for address in addresses]


async def test_accepted_mail_is_in_the_outbox_and_in_the_mailboxes(client: Client, simulator: Simulator) -> None:
    """202 has no body; the message is in the outbox, in Sent Items and in the recipients' Inboxes."""
    response = await client.send(
        await client.graph_headers(),
        mail(
            ccRecipients=to("ada@contoso.example"),
            bccRecipients=to("blind@fabrikam.example"),
            internetMessageHeaders=[{"name": "x-trace", "value": "7"}],
            importance="High",
        ),
    )

    (sent,) = await client.outbox()
    assert (response.status_code, response.content) == (202, b"")
    assert sent["from"]["address"] == "ada@contoso.example"
    assert sent["to"] == [{"address": "grace@contoso.example", "name": ""}]
    assert sent["bcc"][0]["address"] == "blind@fabrikam.example"
    assert (sent["subject"], sent["body"]) == ("Engine", {"contentType": "HTML", "content": "<p>It weaves.</p>"})
    assert sent["headers"] == [{"name": "x-trace", "value": "7"}]
    assert (sent["importance"], sent["saveToSentItems"]) == ("high", True)
    assert sent["requestId"] == response.headers["request-id"]
    ada, grace = (simulator.tenant.mail.mailbox(name) for name in ("ada", "grace"))
    assert [len(ada.sent), len(ada.inbox), len(grace.inbox)] == [1, 1, 1]
    assert grace.inbox[0].bcc == ()


@pytest.mark.parametrize(("value", "kept"), [(True, 1), (False, 0), ("false", 0), ("True", 1), (None, 1)])
async def test_save_to_sent_items_takes_both_kinds(client: Client, simulator: Simulator, value: Any, kept: int) -> None:
    """The flag may be a boolean or its word."""
    await client.send(await client.graph_headers(), mail() | {"saveToSentItems": value})

    assert len(simulator.tenant.mail.mailbox("ada").sent) == kept


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ErrorInvalidParameter"),
        ({"message": None}, "ErrorInvalidParameter"),
        ({"message": {}}, "ErrorInvalidRecipients"),
        (mail() | {"saveToSent": True}, "RequestBodyRead"),
        (mail() | {"saveToSentItems": "perhaps"}, "RequestBodyRead"),
        (mail() | {"saveToSentItems": 1}, "RequestBodyRead"),
        (mail(Subject="x"), "RequestBodyRead"),
        (mail(recipients="x"), "RequestBodyRead"),
        (mail(body={"type": "HTML"}), "RequestBodyRead"),
        (mail(toRecipients=[{"address": "a@b.example"}]), "RequestBodyRead"),
        (mail(subject=7), "UnableToDeserializePostBody"),
        (mail(body="text"), "UnableToDeserializePostBody"),
        (mail(body={"contentType": "Markdown", "content": "x"}), "UnableToDeserializePostBody"),
        (mail(toRecipients="a@b.example"), "UnableToDeserializePostBody"),
        (mail(importance="urgent"), "UnableToDeserializePostBody"),
        (mail(isReadReceiptRequested="yes"), "UnableToDeserializePostBody"),
        (mail(toRecipients=[]), "ErrorInvalidRecipients"),
        (mail("a@b.example;c@d.example"), "ErrorInvalidRecipients"),
        (mail("a@b.example, c@d.example"), "ErrorInvalidRecipients"),
        (mail("bad"), "ErrorInvalidRecipients"),
        (mail("a@b"), "ErrorInvalidRecipients"),
        (mail("a b@c.example"), "ErrorInvalidRecipients"),
        (mail("a..b@c.example"), "ErrorInvalidRecipients"),
        (mail("Ada <a@b.example>"), "ErrorInvalidRecipients"),
        (mail(replyTo=to("bad")), "ErrorInvalidRecipients"),
        (mail(toRecipients=[{}]), "ErrorInvalidRecipients"),
        (mail(internetMessageHeaders=[]), "InvalidInternetMessageHeaderCollection"),
        (
            mail(internetMessageHeaders=[{"name": f"x-{n}", "value": ""} for n in range(6)]),
            "InvalidInternetMessageHeader",
        ),
        (mail(internetMessageHeaders=[{"name": "Subject", "value": "x"}]), "InvalidInternetMessageHeader"),
        (mail(internetMessageHeaders=[{"name": "x-a", "value": "b\r\nBcc: c"}]), "InvalidInternetMessageHeader"),
        (mail(attachments=[{"name": "a"}]), "RequestBodyRead"),
        (mail(tuple(f"p{n}@b.example" for n in range(501))), "ErrorExceededMaxRecipientLimit"),
    ],
)
async def test_wrong_body_is_refused(client: Client, body: Json, code: str) -> None:
    """Each mistake has Graph's code, and nothing is sent."""
    response = await client.send(await client.graph_headers(), body)

    assert response.status_code == 400
    assert response.json()["error"]["code"].startswith(code)
    assert await client.outbox() == []


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "BadRequest"),
        (b"[]", "application/json", 400, "BadRequest"),
        (b'{"message": {"subject": "\\ud800"}}', "application/json", 400, "BadRequest"),
        (b"{}", "text/html", 415, "UnsupportedMediaType"),
        (b"not base64!", "text/plain", 400, "ErrorMimeContentInvalidBase64String"),
        (b"x" * (4 * 1024 * 1024 + 1), "application/json", 413, "RequestEntityTooLarge"),
    ],
)
async def test_wrong_payload_is_refused(client: Client, content: bytes, kind: str, status: int, code: str) -> None:
    """Payloads that cannot be read are refused before their content matters."""
    headers = await client.graph_headers() | {"Content-Type": kind}

    response = await client.microsoft.post("/v1.0/me/sendMail", headers=headers, content=content)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_size_error_by_switch(client: Client) -> None:
    """Too large a request may also be a 400."""
    await client.control("PATCH", "switches", {"size_exceeded_status": 400, "request_bytes": 10})

    response = await client.send(await client.graph_headers())

    assert (response.status_code, response.json()["error"]["code"]) == (400, "ErrorMessageSizeExceeded")


async def test_odd_addresses_that_are_right(client: Client) -> None:
    """Plus signs, apostrophes, other scripts and 500 recipients are taken."""
    headers = await client.graph_headers()
    good = ("ada+x@contoso.example", "o'neil@b-c.example", "ünïcode@пример.example", "a.b_c@1.example")

    assert (await client.send(headers, mail(good))).status_code == 202
    assert (await client.send(headers, mail(tuple(f"p{n}@b.example" for n in range(500))))).status_code == 202


async def test_only_blind_copies_are_enough(client: Client) -> None:
    """One recipient of any kind is enough."""
    body = mail(toRecipients=[], bccRecipients=to("grace@contoso.example"))

    assert (await client.send(await client.graph_headers(), body)).status_code == 202


async def test_scope_is_needed(client: Client) -> None:
    """A token without Mail.Send is refused with ErrorAccessDenied."""
    response = await client.send(await client.graph_headers(scope=USER_READ))

    assert (response.status_code, response.json()["error"]["code"]) == (403, "ErrorAccessDenied")


@pytest.mark.parametrize("status", [404, 403])
async def test_licence_is_needed(client: Client, status: int) -> None:
    """A person without licence is refused with MailboxNotEnabledForRESTAPI, with the status of the switch."""
    await client.control("PATCH", "switches", {"unlicensed_status": status})

    response = await client.send(await client.graph_headers("linus@contoso.example"))

    assert (response.status_code, response.json()["error"]["code"]) == (status, "MailboxNotEnabledForRESTAPI")


async def test_only_oneself_may_be_the_sender(client: Client) -> None:
    """`from` may repeat the caller, and nobody else."""
    headers = await client.graph_headers()

    own = await client.send(headers, mail(**{"from": to("ada@contoso.example")[0]}))
    foreign = await client.send(headers, mail(**{"from": to("grace@contoso.example")[0]}))

    assert own.status_code == 202
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "ErrorSendAsDenied")


async def test_attachments_are_checked_and_counted(client: Client) -> None:
    """A file attachment is kept by name and size; bad base64 is refused."""
    headers = await client.graph_headers()
    good = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGVsbG8="}

    taken = await client.send(headers, mail(attachments=[good]))
    refused = [
        (await client.send(headers, mail(attachments=[good | change]))).json()["error"]["code"]
        for change in ({"contentBytes": "é"}, {"name": ""}, {"@odata.type": "#microsoft.graph.itemAttachment"})
    ]

    assert taken.status_code == 202
    assert (await client.outbox())[0]["attachments"][0]["size"] == 5
    assert refused == ["RequestBodyRead", "ErrorRequiredPropertyMissing", "RequestBodyRead"]


@pytest.mark.parametrize("address", ["x@unresolvable.example", "x@nowhere.invalid", "nobody@contoso.example"])
async def test_bad_address_comes_back_as_a_report(client: Client, simulator: Simulator, address: str) -> None:
    """An address that does not exist is no API error: a report arrives in the sender's Inbox."""
    response = await client.send(await client.graph_headers(), mail((address, "grace@contoso.example"), subject="<b>"))

    (report,) = simulator.tenant.mail.mailbox("ada").inbox
    assert response.status_code == 202
    assert report.subject == "Undeliverable: <b>"
    assert address in report.content
    assert "<b>" not in report.content


async def test_mime_message(client: Client) -> None:
    """A base64 MIME message is read: recipients, body, headers and attachments."""
    mime = EmailMessage()
    mime["To"], mime["Cc"], mime["Subject"] = "Grace <grace@contoso.example>", "x@fabrikam.example", "Überraschung"
    mime["X-Trace"] = "7"
    mime.set_content("plain")
    mime.add_alternative("<p>html</p>", subtype="html")
    mime.add_attachment(b"12345", maintype="application", subtype="pdf", filename="a.pdf")
    headers = await client.graph_headers() | {"Content-Type": "text/plain"}

    response = await client.microsoft.post(
        "/v1.0/me/sendMail", headers=headers, content=base64.b64encode(mime.as_bytes())
    )

    (sent,) = await client.outbox()
    assert response.status_code == 202
    assert sent["to"] == [{"address": "grace@contoso.example", "name": "Grace"}]
    assert (sent["subject"], sent["body"]["contentType"]) == ("Überraschung", "HTML")
    assert sent["headers"] == [{"name": "X-Trace", "value": "7"}]
    assert sent["attachments"][0] == {
        "name": "a.pdf",
        "content_type": "application/pdf",
        "size": 5,
        "is_inline": False,
        "sha256": hashlib.sha256(b"12345").hexdigest(),
        "content_id": None,
    }


async def test_mime_message_of_another_sender(client: Client) -> None:
    """The From line of a MIME message must be the caller."""
    headers = await client.graph_headers() | {"Content-Type": "text/plain"}
    content = base64.b64encode(b"From: grace@contoso.example\r\nTo: ada@contoso.example\r\n\r\nx")

    response = await client.microsoft.post("/v1.0/me/sendMail", headers=headers, content=content)

    assert response.json()["error"]["code"] == "ErrorSendAsDenied"


async def test_deferred_send_shows_when_it_falls_due(client: Client) -> None:
    """A message with PidTagDeferredSendTime is in the outbox with its time."""
    extended = [{"id": "SystemTime 0x3FEF", "value": "2027-01-15T09:00:00Z"}]
    headers = await client.graph_headers()

    await client.send(headers, mail(singleValueExtendedProperties=extended))
    wrong = await client.send(headers, mail(singleValueExtendedProperties=[extended[0] | {"value": "soon"}]))

    (sent,) = await client.outbox()
    assert (sent["sentAt"], sent["deliverAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T09:00:00.000Z")
    assert wrong.status_code == 400


async def test_four_requests_at_a_time(client: Client) -> None:
    """Of five concurrent sends for one mailbox one is throttled; another mailbox is not affected."""
    await client.control("PATCH", "switches", {"send_seconds": 0.2, "throttle_retry_after": 7})
    ada, grace = await client.graph_headers(), await client.graph_headers("grace@contoso.example")

    answers = await asyncio.gather(*(client.send(ada) for _ in range(5)), client.send(grace))

    throttled = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers].count(202) == 5
    assert throttled[0].json()["error"]["code"] == "ApplicationThrottled"
    assert throttled[0].headers["retry-after"] == "7"
    assert len(await client.outbox()) == 5


async def test_window_of_requests(client: Client) -> None:
    """Over the limit of the window requests are throttled until time has passed."""
    await client.control("PATCH", "switches", {"mailbox_requests": 2, "throttle_retry_after": None})
    headers = await client.graph_headers()

    answers = [await client.send(headers) for _ in range(3)]
    await client.control("PATCH", "clock", {"offset_seconds": 601})

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert "retry-after" not in answers[2].headers
    assert (await client.send(headers)).status_code == 202


async def test_throttled_and_sent_all_the_same(client: Client) -> None:
    """With the switch, a throttled send is in the outbox nevertheless."""
    await client.control("PATCH", "switches", {"mailbox_requests": 0, "sent_although_throttled": True})

    response = await client.send(await client.graph_headers())

    assert response.status_code == 429
    assert len(await client.outbox()) == 1


async def test_recipients_per_day(client: Client) -> None:
    """The limit of recipients counts over one day."""
    await client.control("PATCH", "switches", {"recipients_per_day": 3})
    headers = await client.graph_headers()
    two = mail(("a@b.example", "c@b.example"))

    assert (await client.send(headers, two)).status_code == 202
    refused = await client.send(headers, two)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "ErrorExceededMessageLimit")
