"""The running programs of the end-to-end tests, for the commands of the documents."""

from tests.e2e.conftest import ada as ada
from tests.e2e.conftest import nothing_left_running as nothing_left_running
from tests.e2e.conftest import nothing_was_sent as nothing_was_sent
from tests.e2e.conftest import server as server
from tests.e2e.conftest import shared_redis as shared_redis
from tests.e2e.conftest import shared_server as shared_server
from tests.e2e.conftest import shared_simulator as shared_simulator
from tests.e2e.conftest import signed_in_ada as signed_in_ada
from tests.e2e.conftest import simulator as simulator
