"""Reads the `scope` parameter: which resource each word belongs to, and whether it exists there."""

from dataclasses import dataclass

from m365_simulator.app_registration import AppRegistration
from m365_simulator.entra.problems import EntraError
from m365_simulator.permissions import GRAPH, GRAPH_APP_ID, GRAPH_SCOPES, OIDC_SCOPES

DEFAULT = ".default"


@dataclass(frozen=True, slots=True)
class Scopes:
    """The words of a scope parameter, sorted by resource; names are short (`Mail.Send`), `.default` included."""

    oidc: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    graph: tuple[str, ...] = ()

    @property
    def resources(self) -> int:
        """How many resources are asked for; the OpenID scopes belong to none."""
        return bool(self.api) + bool(self.graph)

    def in_full(self, app: AppRegistration) -> tuple[str, ...]:
        """Return every word as consent knows it; `.default` adds nothing, it stands for what is there already."""
        api = tuple(f"{app.app_id_uri}/{name}" for name in self.api if name != DEFAULT)
        graph = tuple(f"{GRAPH}/{name}" for name in self.graph if name != DEFAULT)
        return (*api, *graph, *self.oidc)


def read_scopes(text: str, app: AppRegistration) -> Scopes:
    """Sort the words; raises EntraError for one that is malformed or exists nowhere."""
    oidc: list[str] = []
    api: list[str] = []
    graph: list[str] = []
    for word in dict.fromkeys(text.split()):
        if word in OIDC_SCOPES:
            oidc.append(word)
        elif (name := _name_on_api(word, app)) is not None:
            api.append(name)
        else:
            graph.append(_name_on_graph(word, app))
    for names in (api, graph):
        if DEFAULT in names and len(names) > 1:
            raise EntraError(
                70011, f"The scope {text} is not valid. .default can't be combined with resource-specific scopes."
            )
    return Scopes(tuple(oidc), tuple(api), tuple(graph))


def _name_on_api(word: str, app: AppRegistration) -> str | None:
    """Return the short name if the word is prefixed with the App ID URI (its case counts) or the client id."""
    for prefix in (f"{app.app_id_uri}/", f"{app.client_id}/"):
        if word.startswith(prefix):
            name = word.removeprefix(prefix)
            if name not in (app.scope_name, DEFAULT):
                raise _unknown_on_resource(name, app, app.client_id)
            return name
    return None


def _name_on_graph(word: str, app: AppRegistration) -> str:
    """Return Graph's own spelling of the scope: a word without a resource belongs to Graph as well."""
    resource, slash, name = word.rpartition("/")
    if not name or any(c in word for c in '"\\,;'):
        raise EntraError(
            70011, f"The provided value for the input parameter 'scope' is not valid. The scope {word} is not valid."
        )
    if slash and resource.rstrip("/") not in (GRAPH, GRAPH_APP_ID):
        raise EntraError(
            500011,
            f"The resource principal named {resource} was not found in the tenant named Contoso. "
            "This can happen if the application has not been installed by the administrator of the tenant.",
        )
    spelling = {known.casefold(): known for known in (*GRAPH_SCOPES, DEFAULT)}.get(name.casefold())
    if spelling is None:
        raise _unknown_on_resource(name, app, GRAPH_APP_ID)
    return spelling


def _unknown_on_resource(name: str, app: AppRegistration, resource: str) -> EntraError:
    return EntraError(
        650053,
        f"The application '{app.display_name}' asked for scope '{name}' that doesn't exist on the resource "
        f"'{resource}'. "
        "Contact the app vendor.",
    )
