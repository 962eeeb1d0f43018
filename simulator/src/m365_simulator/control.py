"""The control plane under `/_control`: a tester reads and changes the state with JSON, on a separate port without TLS.

Reads show no token and no code. A wrong request gets 400 with `code`, `sentence` and `advice`, and changes
nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_simulator.control_changes import (
    AppChange,
    ClockChange,
    ConsentChange,
    ControlError,
    NewPerson,
    NewTenant,
    PersonChange,
    Roll,
    SavedSignIns,
    SendAsChange,
    SwitchesChange,
    read_change,
)
from m365_simulator.control_views import (
    app_view,
    fault_view,
    keys_view,
    outbox_view,
    record_view,
    rights_view,
    state_view,
)
from m365_simulator.faults import Fault
from m365_simulator.organizations import Organization
from m365_simulator.sending_rights import SendingRight
from m365_simulator.sign_ins import Consent
from m365_simulator.tenant import Tenant

Answer = dict[str, object] | list[dict[str, object]]
Endpoint = Callable[[Tenant, Request], Awaitable[Answer]]


def control_routes() -> list[Route]:
    """Return the routes; their app keeps the tenant in `app.state.tenant`."""
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "state", _state),
        ("GET", "outbox", _outbox),
        ("GET", "requests", _requests),
        ("DELETE", "requests", _forget_requests),
        ("GET", "faults", _faults),
        ("POST", "faults", _arm_fault),
        ("DELETE", "faults", _disarm_faults),
        ("POST", "tenants", _add_tenant),
        ("POST", "people", _add_person),
        ("PATCH", "people/{name}", _change_person),
        ("POST", "send-as", _grant_sending),
        ("DELETE", "send-as", _withdraw_sending),
        ("PATCH", "app", _change_app),
        ("PATCH", "switches", _change_switches),
        ("POST", "consents", _grant_consent),
        ("DELETE", "consents", _withdraw_consent),
        ("POST", "keys/publish", _publish_key),
        ("POST", "keys/roll", _roll_keys),
        ("POST", "keys/drop", _drop_keys),
        ("PATCH", "clock", _set_clock),
        ("POST", "sign-ins", _save_sign_ins),
        ("POST", "reset", _reset),
    )
    paths = dict.fromkeys(path for _, path, _ in table)
    by_path = {path: {method: end for method, other, end in table if other == path} for path in paths}
    return [_route(path, endpoints) for path, endpoints in by_path.items()]


def _route(path: str, endpoints: dict[str, Endpoint]) -> Route:
    async def answer(request: Request) -> Response:
        try:
            endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
            return JSONResponse(await endpoint(request.app.state.tenant, request))
        except ControlError as problem:
            body = {"code": problem.code, "sentence": problem.sentence, "advice": problem.advice}
            return JSONResponse(body, problem.status)

    return Route(f"/_control/{path}", answer, methods=list(endpoints))


async def _state(tenant: Tenant, _: Request) -> Answer:
    return state_view(tenant)


async def _outbox(tenant: Tenant, _: Request) -> Answer:
    tenant.mail.release()
    return [outbox_view(message) for message in tenant.mail.outbox]


async def _requests(tenant: Tenant, _: Request) -> Answer:
    return [record_view(record) for record in tenant.requests.records]


async def _forget_requests(tenant: Tenant, _: Request) -> Answer:
    tenant.requests.records.clear()
    return []


async def _faults(tenant: Tenant, _: Request) -> Answer:
    return [fault_view(armed) for armed in tenant.faults.armed]


async def _arm_fault(tenant: Tenant, request: Request) -> Answer:
    fault = await read_change(request, Fault)
    if fault.where.person is not None:
        name = _person(tenant, fault.where.person)
        fault = replace(fault, where=replace(fault.where, person=name))
    return fault_view(tenant.faults.add(fault))


async def _disarm_faults(tenant: Tenant, _: Request) -> Answer:
    tenant.faults.armed.clear()
    return []


async def _add_tenant(tenant: Tenant, request: Request) -> Answer:
    added = (await read_change(request, NewTenant)).build()
    if tenant.find_organization(added.domain) is not None:
        raise ControlError("tenant_exists", f"There is already a tenant with the domain {added.domain!r}.", "Use it.")
    tenant.organizations = (*tenant.organizations, added)
    return asdict(added)


async def _add_person(tenant: Tenant, request: Request) -> Answer:
    change = await read_change(request, NewPerson)
    person = change.build(_organization(tenant, change.domain))
    for text in (person.name, person.user_principal_name):
        if tenant.find_person(text) is not None:
            raise ControlError("person_exists", f"There is already a person named {text!r}.", "Choose another name.")
    tenant.people[person.name] = person
    return asdict(person)


async def _change_person(tenant: Tenant, request: Request) -> Answer:
    name = _person(tenant, request.path_params["name"])
    change = await read_change(request, PersonChange)
    person = tenant.change_person(name, **change.fields)
    if change.revoked:
        tenant.sign_ins.revoke(name)
    return asdict(person)


async def _grant_sending(tenant: Tenant, request: Request) -> Answer:
    tenant.sending_rights.grant(_right(tenant, await read_change(request, SendAsChange)))
    return rights_view(tenant)


async def _withdraw_sending(tenant: Tenant, request: Request) -> Answer:
    right = _right(tenant, await read_change(request, SendAsChange))
    tenant.sending_rights.withdraw(right.person, right.address)
    return rights_view(tenant)


def _right(tenant: Tenant, change: SendAsChange) -> SendingRight:
    return SendingRight(_person(tenant, change.person), change.address, change.kind, change.display_name)


async def _change_app(tenant: Tenant, request: Request) -> Answer:
    tenant.app = (await read_change(request, AppChange)).apply(tenant.app)
    return app_view(tenant.app)


async def _change_switches(tenant: Tenant, request: Request) -> Answer:
    tenant.switches = (await read_change(request, SwitchesChange)).apply(tenant.switches)
    return asdict(tenant.switches)


async def _grant_consent(tenant: Tenant, request: Request) -> Answer:
    change = await read_change(request, ConsentChange)
    tenant.sign_ins.consents |= _consents(tenant, change)
    return state_view(tenant)


async def _withdraw_consent(tenant: Tenant, request: Request) -> Answer:
    """Withdraw consents; a person's own and the administrator's are separate things."""
    change = await read_change(request, ConsentChange)
    tenant.sign_ins.consents -= _consents(tenant, change)
    return state_view(tenant)


def _consents(tenant: Tenant, change: ConsentChange) -> set[Consent]:
    name = None if change.person is None else _person(tenant, change.person)
    tenant_id = _organization(tenant, change.domain).id if name is None else tenant.people[name].tenant_id
    return {Consent(tenant_id, scope, name) for scope in change.scopes_in_full(tenant.app)}


async def _publish_key(tenant: Tenant, _: Request) -> Answer:
    tenant.keys.publish()
    return keys_view(tenant.keys)


async def _roll_keys(tenant: Tenant, request: Request) -> Answer:
    if (await read_change(request, Roll)).emergency:
        tenant.keys.roll_in_emergency()
    else:
        tenant.keys.roll()
    return keys_view(tenant.keys)


async def _drop_keys(tenant: Tenant, _: Request) -> Answer:
    tenant.keys.drop()
    return keys_view(tenant.keys)


async def _set_clock(tenant: Tenant, request: Request) -> Answer:
    tenant.clock.offset_seconds = (await read_change(request, ClockChange)).offset_seconds
    tenant.mail.release()
    return {"offset_seconds": tenant.clock.offset_seconds, "now": tenant.clock.now()}


async def _save_sign_ins(tenant: Tenant, request: Request) -> Answer:
    name = (await read_change(request, SavedSignIns)).name
    tenant.save_sign_ins(name)
    return {"name": name}


async def _reset(tenant: Tenant, request: Request) -> Answer:
    name = request.query_params.get("sign_ins")
    if name is not None and name not in tenant.saved_sign_ins:
        raise ControlError("unknown_sign_ins", f"No sign-ins are saved as {name!r}.", "Save them before a reset.", 404)
    tenant.reset(name)
    return state_view(tenant)


def _organization(tenant: Tenant, domain: str | None) -> Organization:
    """Return the tenant with this domain or GUID; without one the home tenant."""
    organization = tenant.directory.home if domain is None else tenant.find_organization(domain)
    if organization is None:
        known = ", ".join(one.domain for one in tenant.organizations)
        raise ControlError("unknown_tenant", f"There is no tenant {domain!r}.", f"Use one of: {known}.", 404)
    return organization


def _person(tenant: Tenant, username: str) -> str:
    """Return the handle of a person named by handle, sign-in name, address or object id."""
    person = tenant.find_person(username)
    if person is None:
        known = ", ".join(tenant.people)
        raise ControlError("unknown_person", f"There is no person named {username!r}.", f"Use one of: {known}.", 404)
    return person.name
