"""The JSON of an upload session, from Graph and from the upload host (page "uploadSession resource type")."""

from datetime import UTC, datetime

from m365_simulator.uploads import UploadSession


def session_json(session: UploadSession, expected: str, *, pascal_case: bool = False) -> dict[str, object]:
    """Return when the session ends and which byte comes next."""
    ends = datetime.fromtimestamp(session.expires_at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if pascal_case:
        return {"ExpirationDateTime": ends, "NextExpectedRanges": [expected]}
    return {"expirationDateTime": ends, "nextExpectedRanges": [expected]}
