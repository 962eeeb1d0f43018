"""get_my_profile: who is signed in."""

from fastmcp.dependencies import Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.tools.caller import caller_mailbox


class MyProfile(BaseModel):
    """The profile of the signed-in person, with Graph's field names."""

    displayName: str | None  # noqa: N815 - Graph's own name
    mail: str | None
    userPrincipalName: str  # noqa: N815 - Graph's own name


@tool(
    title="Get my profile",
    annotations=ToolAnnotations(
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    ),
)
async def get_my_profile(mailbox: Mailbox = Depends(caller_mailbox)) -> MyProfile:
    """Tell who is signed in: display name, mail address and sign-in name.

    Use it to answer "what is my address?", or when it matters which mailbox the server uses.
    """
    profile = await mailbox.profile()
    return MyProfile(displayName=profile.display_name, mail=profile.mail, userPrincipalName=profile.user_principal_name)
