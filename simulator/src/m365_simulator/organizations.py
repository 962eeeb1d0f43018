"""The tenants in which people have accounts, each told apart by its GUID and its verified domain."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant as the others see it; Graph calls the same thing `organization`."""

    id: str
    domain: str
    display_name: str

    def answers_to(self, text: str) -> bool:
        """Return whether the text is this tenant's GUID or its verified domain."""
        return text.casefold() in (self.id, self.domain)


CONTOSO = Organization("11111111-2222-4333-8444-555555555555", "contoso.example", "Contoso (simulator)")
"""The home tenant: here stands the app registration."""
FABRIKAM = Organization("22222222-3333-4444-8555-666666666666", "fabrikam.example", "Fabrikam (simulator)")
"""A customer's tenant; its people can sign in once the app is multi-tenant."""
