"""What other packages import from `mail`."""

from __future__ import annotations

from types import ModuleType

from m365_mcp import mail


def test_every_public_name_is_listed() -> None:
    """`__all__` has each name of the package that is no module, and no other."""
    names = {name for name, value in vars(mail).items() if name[0] != "_" and not isinstance(value, ModuleType)}

    assert names == set(mail.__all__)
