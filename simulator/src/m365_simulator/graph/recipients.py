"""The rules for recipients: one address in each, at least one, at most so many; the rest turns out later."""

import re

from m365_simulator.graph.problems import GraphError
from m365_simulator.mail import Recipient
from m365_simulator.switches import Switches

_ATOM = r"[^\s@;,:<>()\[\]\\\"]+"
_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_ADDRESS = re.compile(rf"{_ATOM}@{_LABEL}(?:\.{_LABEL})+")
"""An address as RFC 5321 section 4.1.2 has it, unquoted and without address literals, in letters of any script."""


def check_recipients(recipients: tuple[Recipient, ...], reply_to: tuple[Recipient, ...], switches: Switches) -> None:
    """Raise GraphError for an address that is none, for no recipient at all, and for too many."""
    for recipient in (*recipients, *reply_to):
        address = recipient.address
        if not _ADDRESS.fullmatch(address) or ".." in address or address.startswith(".") or ".@" in address:
            raise _invalid(
                f"Recipient '{address}' is not resolved. All recipients must be resolved before a message can be "
                "submitted."
            )
    if not recipients:
        raise _invalid("A message can't be sent because it contains no recipients.")
    if len(recipients) > switches.recipients_per_message:
        raise GraphError(
            400,
            "ErrorExceededMaxRecipientLimit",
            f"The message has {len(recipients)} recipients, more than the limit of {switches.recipients_per_message}.",
        )


def _invalid(detail: str) -> GraphError:
    return GraphError(400, "ErrorInvalidRecipients", f"At least one recipient is not valid., {detail}")
