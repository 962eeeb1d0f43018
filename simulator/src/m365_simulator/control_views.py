"""What the control plane shows of the state, as JSON values; nothing here shows a token or a code."""

from dataclasses import asdict
from datetime import UTC, datetime

from m365_simulator.app_registration import AppRegistration
from m365_simulator.faults import ArmedFault
from m365_simulator.keys import KeyRing
from m365_simulator.mail import Attachment, Message
from m365_simulator.request_log import RequestRecord
from m365_simulator.tenant import Tenant

View = dict[str, object]


def state_view(tenant: Tenant) -> View:
    """Show tenants, people, app registration, consents, rights, switches, keys and clock."""
    return {
        "tenant_id": tenant.tenant_id,
        "tenants": [asdict(organization) for organization in tenant.organizations],
        "authority": tenant.authority,
        "people": [asdict(person) for person in tenant.people.values()],
        "app": app_view(tenant.app),
        "consents": [
            asdict(consent) | {"admin": consent.person is None}
            for consent in sorted(
                tenant.sign_ins.consents, key=lambda one: (one.person or "", one.tenant_id, one.scope)
            )
        ],
        "send_as": rights_view(tenant),
        "upload_sessions": tenant.uploads.count,
        "switches": asdict(tenant.switches),
        "keys": keys_view(tenant.keys),
        "clock": {"offset_seconds": tenant.clock.offset_seconds, "now": tenant.clock.now()},
    }


def app_view(app: AppRegistration) -> View:
    """Show the app registration; secrets only by their first characters, as the portal does."""
    secrets = [{"hint": secret.value[:3], "expires_at": secret.expires_at} for secret in app.secrets]
    return asdict(app) | {"secrets": secrets, "app_id_uri": app.app_id_uri, "scope": app.scope}


def keys_view(keys: KeyRing) -> View:
    """Show the ids of the signing keys."""
    return {
        "current": keys.current.kid,
        "next": keys.next.kid if keys.next else None,
        "retired": [key.kid for key in keys.retired],
    }


def rights_view(tenant: Tenant) -> list[View]:
    """Show who may send in whose name."""
    return [asdict(right) for right in tenant.sending_rights.all]


def outbox_view(message: Message) -> View:
    """Show a submitted message, everything but the content of its attachments.

    `id` and `immutableId` are those of the copy in Sent Items, `via` tells by which call it was sent.
    """
    everybody = {kind: [asdict(r) for r in getattr(message, kind)] for kind in ("to", "cc", "bcc")}
    return {
        "id": message.id,
        "immutableId": message.immutable_id,
        "internetMessageId": message.internet_message_id,
        "conversationId": message.conversation_id,
        "inReplyTo": message.in_reply_to or None,
        "references": list(message.references),
        "from": asdict(message.from_),
        "sender": asdict(message.sender),
        **everybody,
        "replyTo": [asdict(recipient) for recipient in message.reply_to],
        "subject": message.subject,
        "body": {"contentType": message.content_type, "content": message.content},
        "importance": message.importance,
        "categories": list(message.categories),
        "isReadReceiptRequested": message.is_read_receipt_requested,
        "isDeliveryReceiptRequested": message.is_delivery_receipt_requested,
        "saveToSentItems": message.save_to_sent_items,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "extendedProperties": [asdict(one) for one in message.extended],
        "attachments": [_attachment_view(attachment) for attachment in message.attachments],
        "via": message.via,
        "sentAt": _as_text(message.sent_at),
        "deliverAt": _as_text(message.visible_at),
        "requestId": message.request_id,
    }


def _attachment_view(attachment: Attachment) -> View:
    return {name: value for name, value in asdict(attachment).items() if name not in ("id", "content")}


def record_view(record: RequestRecord) -> View:
    """Show a request of the log."""
    return asdict(record.request) | {"at": _as_text(record.request.at), "status": record.status, "fault": record.fault}


def fault_view(armed: ArmedFault) -> View:
    """Show a fault and what is left of it."""
    counts = {"skip_left": armed.skip_left, "times_left": armed.times_left, "struck": armed.struck}
    return {"id": armed.id, "fault": asdict(armed.fault), **counts}


def _as_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
