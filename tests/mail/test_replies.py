"""The text of a reply comes first, whatever the quoted message contains."""

import nh3
import pytest

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail import MailRules, Recipient, ReplyRequest, check_recipients, compose_reply, quote_original
from m365_mcp.mail.body import Body

HTML = Body("HTML", "<p>Yes</p>")
TEXT = Body("Text", "a < b\nc")
GRACE = Recipient("grace@contoso.example")


@pytest.mark.parametrize(
    "quoted",
    [
        "<html><head><style>p { color: red }</style></head><body dir='ltr'><p>At noon?</p></body></html>",
        "<!-- <body> --><p>At noon?</p>",
        "<html><!-- <p>At noon?</p>",
        "<title><body></title><p>At noon?</p>",
        "",
    ],
)
def test_quoted_message_cannot_hide_the_text(quoted: str) -> None:
    """Comments, titles and tags of the quoted message come after the caller's text and cannot hide it."""
    content_type, content = quote_original(HTML, quoted, "html")

    assert content_type == "HTML"
    assert nh3.clean(content, tags={"p"}).startswith("<p>Yes</p>")
    assert content.endswith(quoted)


def test_text_above_text_stays_text() -> None:
    """Two plain texts stay plain text."""
    assert quote_original(TEXT, "At noon?", "text") == ("Text", "a < b\nc\n\nAt noon?")


def test_text_and_html_are_mixed_without_becoming_markup() -> None:
    """Plain text beside HTML is escaped."""
    assert quote_original(TEXT, "<p>x</p>", "HTML")[1] == "<div>a &lt; b<br>c</div><br><p>x</p>"
    assert quote_original(HTML, "1 < 2", "Text")[1] == "<div><p>Yes</p></div><br><pre>1 &lt; 2</pre>"


def test_forward_needs_a_recipient_and_bcc_needs_the_operator() -> None:
    """A forward without a recipient, and blind copies while they are off, are refused."""
    with pytest.raises(InvalidArgument, match="no recipient"):
        compose_reply(ReplyRequest(kind="forward", original="m1", body="Hi"), MailRules())
    with pytest.raises(InvalidArgument, match="M365_SEND_BCC"):
        compose_reply(
            ReplyRequest(kind="forward", original="m1", body="Hi", to=["a@b.example"], bcc=["c@d.example"]), MailRules()
        )


def test_recipients_that_the_mailbox_chose_are_checked() -> None:
    """Domains, number and blind copies count for a reply as for any mail; the address is not repeated."""
    with pytest.raises(RecipientNotAllowed, match="'cc' entry 1") as caught:
        check_recipients(MailRules(allowed_domains=("contoso.example",)), to=[GRACE], cc=[Recipient("eve@example.com")])
    with pytest.raises(InvalidArgument, match="no recipient"):
        check_recipients(MailRules(), to=[], cc=[])
    with pytest.raises(InvalidArgument, match="2 recipients"):
        check_recipients(MailRules(max_recipients=1), to=[GRACE, Recipient("ada@contoso.example")])
    with pytest.raises(InvalidArgument, match="M365_SEND_BCC"):
        check_recipients(MailRules(), to=[GRACE], bcc=[Recipient("ada@contoso.example")])
    assert "eve@" not in str(caught.value)
