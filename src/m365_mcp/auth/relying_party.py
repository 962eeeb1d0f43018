"""The server as a relying party of WebAuthn: what it asks browsers, and what it takes for an answer.

Verified by py_webauthn: type, challenge, origin, RP ID, user presence and verification, signature, and the signature
counter. The rest of WebAuthn level 3 section 7.2 is here: no other site may have asked, and the user handle, where
there is one, is the person's. The library is imported where passkeys are in use, because nobody else needs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from m365_mcp import logs
from m365_mcp.auth.passkey_challenges import CHALLENGE_SECONDS
from m365_mcp.auth.passkeys import Passkey
from m365_mcp.errors import PasskeyRefused
from m365_mcp.person import PersonId
from m365_mcp.urls import read_url

TRANSPORTS = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal")
MAX_ID = 1400  # characters of base64url; a credential id has at most 1023 bytes
_log = logs.get(__name__)


@dataclass(frozen=True)
class RelyingParty:
    """The server, as browsers and authenticators know it.

    Attributes:
        id: the RP ID, which is the host of the public URL.
        origin: the origin of the public URL.
        name: the name of the product.
    """

    id: str
    origin: str
    name: str

    @classmethod
    def at(cls, public_url: str, name: str) -> RelyingParty:
        """Return the relying party at a public URL, and load the library."""
        import webauthn as webauthn  # now, not at somebody's first press: it takes a quarter of a second

        url = read_url(public_url)
        return cls(url.host, url.origin, name)

    def creation_options(
        self, person: PersonId, sign_in_name: str, challenge: bytes, known: Sequence[Passkey]
    ) -> dict[str, Any]:
        """Return the options for a new passkey, as JSON (WebAuthn level 3, section 5.4)."""
        from webauthn import generate_registration_options
        from webauthn.helpers import options_to_json_dict, structs

        options = generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=_handle(person),
            user_name=sign_in_name,
            challenge=challenge,
            timeout=round(CHALLENGE_SECONDS * 1000),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.PREFERRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
        )
        return options_to_json_dict(options)

    def request_options(self, challenge: bytes, known: Sequence[Passkey]) -> dict[str, Any]:
        """Return the options for a signature of a known passkey, as JSON (WebAuthn level 3, section 5.5)."""
        from webauthn import generate_authentication_options
        from webauthn.helpers import options_to_json_dict, structs

        options = generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=round(CHALLENGE_SECONDS * 1000),
            allow_credentials=_descriptors(known),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    def verify_new(self, answer: str, challenge: bytes, name: str, now: float) -> Passkey:
        """Return the passkey that a browser has made. Raises PasskeyRefused."""
        from webauthn import verify_registration_response
        from webauthn.helpers import bytes_to_base64url

        try:
            verified = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                require_user_verification=True,
            )
            self._check_asker(answer)
            return Passkey(
                id=bytes_to_base64url(verified.credential_id),
                public_key=bytes_to_base64url(verified.credential_public_key),
                sign_count=verified.sign_count,
                name=name,
                added_at=now,
                transports=_transports(answer),
            )
        except Exception as error:  # the answer is from outside, and the library's parsers raise what they like
            raise _refused(error) from error

    def verify(self, answer: str, challenge: bytes, person: PersonId, passkey: Passkey) -> int:
        """Return the new signature counter of a passkey that has signed the challenge. Raises PasskeyRefused."""
        from webauthn import verify_authentication_response
        from webauthn.helpers import base64url_to_bytes

        try:
            verified = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
            self._check_asker(answer)
            _check_owner(answer, verified.credential_id, person, passkey)
        except Exception as error:  # see above
            raise _refused(error) from error
        return verified.new_sign_count

    def _check_asker(self, answer: str) -> None:
        """Return if the page itself asked, and not a frame of it in another site (section 7.2, step 14)."""
        from webauthn.helpers import base64url_to_bytes

        client_data = json.loads(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
        if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
            raise ValueError("the page was in a frame of another site")


def id_of(answer: str) -> str:
    """Return the credential id that an answer of a browser names. Raises PasskeyRefused."""
    try:
        found = json.loads(answer)["id"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PasskeyRefused from error
    if not isinstance(found, str) or len(found) > MAX_ID:
        raise PasskeyRefused
    return found


def _check_owner(answer: str, credential_id: bytes, person: PersonId, passkey: Passkey) -> None:
    """Return if the passkey has answered, and for this person (section 7.2, steps 5 and 6)."""
    from webauthn.helpers import base64url_to_bytes

    handle = json.loads(answer)["response"].get("userHandle")
    if credential_id != base64url_to_bytes(passkey.id):
        raise ValueError("another passkey has answered")
    if handle and base64url_to_bytes(handle) != _handle(person):
        raise ValueError("the passkey is another person's")


def _refused(error: Exception) -> PasskeyRefused:
    _log.warning("passkey_refused", reason=type(error).__name__)
    return PasskeyRefused()


def _handle(person: PersonId) -> bytes:
    """Return the user handle of a person, which tells nothing about them (section 14.6.1)."""
    return hashlib.sha256(person.digest("passkey").encode()).digest()


def _descriptors(known: Sequence[Passkey]) -> list[Any]:
    from webauthn.helpers import base64url_to_bytes, structs

    return [
        structs.PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(passkey.id),
            transports=[structs.AuthenticatorTransport(one) for one in passkey.transports] or None,
        )
        for passkey in known
    ]


def _transports(answer: str) -> tuple[str, ...]:
    """Return how browsers reach the authenticator, as far as this server knows the words."""
    named = json.loads(answer)["response"].get("transports")
    return tuple(one for one in TRANSPORTS if isinstance(named, list) and one in named)
