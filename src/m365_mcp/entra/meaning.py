"""What one refusal of Entra means; `entra.meanings` has them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.errors import M365Error

# Who must act: the person who signs in, an administrator of the tenant, the operator of this server, or nobody.
Actor = Literal["person", "administrator", "operator", "nobody"]


@dataclass(frozen=True)
class Meaning:
    """What a refusal means.

    Attributes:
        kind: the error.
        who: who must act; it decides whether a page sends the person to their IT support.
        sentence: what happened; None: the error's own sentence.
        for_person: what the person who signs in can do. None: nothing if an administrator or the operator must act,
            and else what the error says.
        for_administrator: what the administrator or the operator can do; None: what the error says.
    """

    kind: type[M365Error]
    who: Actor
    sentence: str | None = None
    for_person: str | None = None
    for_administrator: str | None = None

    @property
    def needs_administrator(self) -> bool:
        """Whether the person who signs in cannot act alone."""
        return self.who in ("administrator", "operator")

    @property
    def advice(self) -> str | None:
        """What a program is told, for whoever reads it; None: the error's own advice."""
        if self.for_administrator is None:
            return None if self.needs_administrator or self.who == "nobody" else self.for_person
        told = self.for_administrator if self.who == "operator" else f"For the administrator: {self.for_administrator}"
        return f"{self.for_person} {told}" if self.for_person else told
