"""The addresses on the upload host; to a client they are opaque (page "Attach large files to Outlook messages")."""

from m365_simulator.mail import Attachment
from m365_simulator.people import Person
from m365_simulator.uploads import UploadSession


def session_url(authority: str, person: Person, session: UploadSession) -> str:
    """Return the `uploadUrl` of a session."""
    return f"{_message(authority, person, session)}/AttachmentSessions('{session.id}')?authtoken={session.token}"


def attachment_url(authority: str, person: Person, session: UploadSession, attachment: Attachment) -> str:
    """Return the `Location` of a finished attachment."""
    return f"{_message(authority, person, session)}/Attachments('{attachment.id}')"


def _message(authority: str, person: Person, session: UploadSession) -> str:
    return f"{authority}/api/v2.0/Users('{person.object_id}@{person.tenant_id}')/Messages('{session.message}')"
