"""Everything a model may call, in the order a reader meets it."""

from m365_mcp.tools.mail import send_mail
from m365_mcp.tools.profile import get_my_profile

TOOLS = (send_mail, get_my_profile)

INSTRUCTIONS = (
    "Sends mail as the signed-in person through Microsoft 365. Before send_mail, show the person the recipients, the "
    "subject and the text, unless they have already approved exactly these. Never guess an address: ask. A result with "
    "status 'sent' means Microsoft accepted the message; do not send it again. An error names what to change; "
    "after 'outcome_unknown' do not call send_mail again by yourself, but ask the person to look in Sent Items. "
    "get_my_profile tells whose mailbox is used."
)
