"""What a person does with a passkey: approve one mail with it, add one, remove one.

Source: WebAuthn level 3, sections 7.1 ("Registering a New Credential") and 7.2 ("Verifying an Authentication
Assertion").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from m365_mcp.auth.browser_proof import FRESH_SECONDS, BrowserProof
from m365_mcp.auth.passkey_challenges import PasskeyChallenges
from m365_mcp.auth.passkeys import MAX_PASSKEYS, Passkey, PasskeyEvent, Passkeys
from m365_mcp.auth.relying_party import RelyingParty, id_of
from m365_mcp.errors import ApprovalNotYours, PasskeyNeeded, PasskeyRefused, SignInTimeMissing, TooManyPasskeys
from m365_mcp.person import PersonId
from m365_mcp.sending.approvals import PATH
from m365_mcp.sending.held_mail import HeldMail

PASSKEYS_PATH = f"{PATH}/passkeys"
MAX_NAME = 40
SKEW_SECONDS = 60.0  # between Entra ID's clock and ours


@dataclass(frozen=True)
class PasskeyCeremonies:
    """Has people approve mail with their passkeys, and change which they have.

    Attributes:
        party: what this server asks of browsers.
        passkeys: the passkeys of people.
        challenges: what is asked now.
        observe: is told of every `PasskeyEvent`.
        clock: returns epoch seconds.
    """

    party: RelyingParty
    passkeys: Passkeys
    challenges: PasskeyChallenges
    observe: Callable[[PasskeyEvent], None]
    clock: Callable[[], float]

    async def ask_to_send(self, mail: HeldMail, digest: str) -> dict[str, Any]:
        """Return what the browser asks the passkey to sign: this mail with this content, and nothing else.

        Raises:
            PasskeyNeeded: the person has no passkey.
            StorageUnavailable: nobody is asked.
        """
        known = await self.passkeys.of(mail.person)
        if not known:
            raise PasskeyNeeded
        return self.party.request_options(await self.challenges.make(mail.id, *_bound(mail, digest)), known)

    async def verify_to_send(self, mail: HeldMail, digest: str, answer: str) -> None:
        """Return if a passkey of the sender has signed this mail with this content, for this one time.

        Raises:
            PasskeyNeeded: there is no answer.
            PasskeyRefused: it is not by such a passkey, or not of this.
            StorageUnavailable: nothing may be sent.
        """
        if not answer:
            raise PasskeyNeeded
        try:
            challenge = await self.challenges.redeem(mail.id, *_bound(mail, digest))
            verify = partial(self.party.verify, answer, challenge, mail.person)
            await self.passkeys.use(mail.person, id_of(answer), verify)
        except PasskeyRefused:
            self.observe(PasskeyEvent("refused", mail.person))
            raise

    async def may_change(self, proof: BrowserProof | None) -> bool:
        """Return whether the person at the browser has just signed in anew, to change one passkey.

        Raises:
            SignInTimeMissing: Entra ID did not say when they signed in.
            ApprovalNotYours: they did not sign in, but had a session.
            StorageUnavailable: it is not known whether they have made their change.
        """
        if proof is None or not proof.is_fresh(PASSKEYS_PATH, self.clock()):
            return False
        if proof.signed_in_at is None:
            raise SignInTimeMissing
        if proof.signed_in_at < proof.began_at - SKEW_SECONDS:
            raise ApprovalNotYours("Microsoft did not ask you to sign in anew.")
        return not await self.challenges.is_spent(proof.token)

    async def ask_to_add(self, proof: BrowserProof) -> dict[str, Any]:
        """Return what the browser makes a passkey with. Raises TooManyPasskeys, StorageUnavailable."""
        known = await self.passkeys.of(proof.person)
        if len(known) >= MAX_PASSKEYS:
            raise TooManyPasskeys
        challenge = await self.challenges.make(_key(proof.person), *_addition(proof))
        return self.party.creation_options(proof.person, proof.name or "Microsoft 365", challenge, known)

    async def add(self, proof: BrowserProof, answer: str, name: str) -> None:
        """Add the passkey that the browser has made. Raises PasskeyRefused, TooManyPasskeys, StorageUnavailable."""
        try:
            challenge = await self.challenges.redeem(_key(proof.person), *_addition(proof))
            passkey = self._verified(answer, challenge, name)
            await self._spend(proof)
            await self.passkeys.add(proof.person, proof.name, passkey)
        except PasskeyRefused:
            self.observe(PasskeyEvent("refused", proof.person))
            raise
        self.observe(PasskeyEvent("added", proof.person))

    async def remove(self, proof: BrowserProof, passkey_id: str) -> None:
        """Remove a passkey of the person. Raises ApprovalNotYours, StorageUnavailable."""
        await self._spend(proof)
        await self.passkeys.remove(proof.person, passkey_id)
        self.observe(PasskeyEvent("removed", proof.person))

    def _verified(self, answer: str, challenge: bytes, name: str) -> Passkey:
        shown = "".join(character for character in name if character.isprintable()).strip()[:MAX_NAME]
        return self.party.verify_new(answer, challenge, shown, self.clock())

    async def _spend(self, proof: BrowserProof) -> None:
        """Let the sign-in make its one change, so that nobody makes another with its cookie."""
        if not await self.challenges.spend(proof.token, 2 * FRESH_SECONDS):
            raise ApprovalNotYours


def _bound(mail: HeldMail, digest: str) -> tuple[str, ...]:
    return "send", mail.id, *mail.person, digest


def _addition(proof: BrowserProof) -> tuple[str, ...]:
    return "add", *proof.person, proof.token


def _key(person: PersonId) -> str:
    return person.record_key("new passkey")
