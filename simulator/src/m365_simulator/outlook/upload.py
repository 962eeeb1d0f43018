"""The upload host: takes a file range by range, in order, as a stream (page "Attach large files to Outlook messages").

The address is the permission: a bearer token beside it is refused, so that a client which sends one is found out.
"""

import re
from dataclasses import dataclass, replace

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.graph.throttle import Throttle
from m365_simulator.mail import new_id
from m365_simulator.outlook.addresses import attachment_url
from m365_simulator.outlook.responses import session_json
from m365_simulator.people import Person
from m365_simulator.tenant import Tenant
from m365_simulator.uploads import UploadSession

_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)")


@dataclass(frozen=True, slots=True)
class Range:
    """Where the bytes of a request belong; `last` is included."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1


async def upload(request: Request) -> Response:
    """Respond to PUT (a range), GET (how far the file has come) and DELETE (give up)."""
    tenant: Tenant = request.app.state.tenant
    throttle: Throttle = request.app.state.throttle
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        session, person = _find(tenant, request)
        with throttle.place(person.name):
            response = await _answer(tenant, throttle, request, session, person)
    except GraphError as problem:
        return error_response(problem, trace)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    response.headers.update(trace.headers)
    return response


async def _answer(
    tenant: Tenant, throttle: Throttle, request: Request, session: UploadSession, person: Person
) -> Response:
    if request.method == "DELETE":
        tenant.uploads.close(session)
        return Response(status_code=204)
    pascal_case = tenant.switches.uploads_answer_in_pascal_case
    if request.method == "GET":
        return JSONResponse(session_json(session, f"{session.received}-", pascal_case=pascal_case))
    wanted = _check_range(tenant, request, session)
    throttle.check_upload(person.name, wanted.length)
    await _receive(request, session, wanted)
    throttle.note_upload(person.name, wanted.length)
    if session.complete:
        return _finish(tenant, session, person)
    return JSONResponse(session_json(session, str(session.received), pascal_case=pascal_case))


def _find(tenant: Tenant, request: Request) -> tuple[UploadSession, Person]:
    if "authorization" in request.headers:
        raise GraphError(401, "InvalidAudienceForResource", "The audience claim value is invalid for current resource.")
    session = tenant.uploads.find(request.query_params.get("authtoken", ""), tenant.clock.now())
    if session is None or not request.path_params["path"].endswith(f"('{session.id}')"):
        raise GraphError(404, "ErrorItemNotFound", "The upload session was not found, or has expired.")
    return session, tenant.people[session.person]


def _check_range(tenant: Tenant, request: Request, session: UploadSession) -> Range:
    match = _RANGE.fullmatch(request.headers.get("content-range", ""))
    if match is None:
        raise GraphError(400, "ErrorInvalidRequest", "Content-Range must be 'bytes {start}-{end}/{total}'.")
    wanted = Range(*(int(number) for number in match.groups()))
    announced = request.headers.get("content-length", "")
    if wanted.total != session.size or wanted.length < 1 or announced != str(wanted.length):
        raise GraphError(400, "fragmentLengthMismatch", "Range, length and size of the file do not fit together.")
    if wanted.length > tenant.switches.upload_chunk_bytes:
        raise GraphError(413, "RequestEntityTooLarge", "The maximum length of a range was exceeded.")
    if wanted.first != session.received or wanted.last >= session.size:
        raise GraphError(
            416, "invalidRange", f"The range does not start at the next expected byte, {session.received}."
        )
    return wanted


async def _receive(request: Request, session: UploadSession, wanted: Range) -> None:
    """Hash the bytes as they come; discard a range that is interrupted, or that another request sent meanwhile."""
    digest, count = session.digest.copy(), 0
    async for part in request.stream():
        digest.update(part)
        count += len(part)
    if count != wanted.length:
        raise GraphError(400, "fragmentLengthMismatch", "The body does not have the length of the range.")
    if session.received != wanted.first:
        raise GraphError(416, "fragmentOverlap", "Another request sent this range.")
    session.keep(digest, count)


def _finish(tenant: Tenant, session: UploadSession, person: Person) -> Response:
    """Attach the file to its draft, if that is still one."""
    tenant.uploads.close(session)
    mailbox = tenant.mail.mailbox(session.person)
    draft = mailbox.find(session.message)
    if draft is None or not draft.is_draft or tenant.mail.submission_of(draft) is not None:
        raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    attachment = session.as_attachment()
    mailbox.put(replace(draft, attachments=(*draft.attachments, attachment), change_key=new_id()))
    tenant.mail.announce()
    location = attachment_url(tenant.directory.upload_authority, person, session, attachment)
    return Response(status_code=201, headers={"Location": location})
