import string
import time
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import ServingError
from nbdeploy.serving import security
from nbdeploy.serving.security import (
    ONE_TIME_SECONDS,
    OPEN_PATHS,
    AccessPolicy,
    Caller,
    OneTimeCodes,
    caller_of,
    choose_token,
    decide,
    is_loopback,
    is_shared_machine,
    open_paths_of,
    session_cookie,
    session_of,
)

LOCAL = AccessPolicy()
GUARDED = AccessPolicy("s3cret", loopback_only=True)
CONTAINER = AccessPolicy(None, loopback_only=False)


def local_caller(path="/predict", **changes):
    caller = Caller(path, host="127.0.0.1:8000", address="127.0.0.1")
    return caller._replace(**changes)


def status(caller, policy):
    refusal = decide(caller, policy)
    return refusal.status if refusal else None


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST", "localhost."]
)
def test_without_a_token_this_machine_may_call_under_its_own_names(host):
    assert status(local_caller(host=host), LOCAL) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "",
     "localhost, evil.example", "[::1", "0.0.0.0", "user@localhost:x"],
)  # fmt: skip
def test_without_a_token_any_other_host_name_is_misdirected(host):
    assert status(local_caller(host=host), LOCAL) == 421


def test_an_allowed_host_may_be_used():
    policy = AccessPolicy(allowed_hosts=frozenset({"lab.example"}))

    assert status(local_caller(host="lab.example:443"), policy) is None
    assert status(local_caller(host="evil.example"), policy) == 421


def test_without_a_token_another_machine_is_refused_even_if_it_forges_the_host():
    assert status(local_caller(address="10.0.0.9"), LOCAL) == 403


@pytest.mark.parametrize("policy", [LOCAL, GUARDED, CONTAINER])
@pytest.mark.parametrize("path", ["/predict", "/health", "/docs"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", "file://",
     "http://127.0.0.1:8000.evil.example", "http://[", ""],
)  # fmt: skip
def test_a_foreign_origin_is_refused_everywhere(policy, path, origin):
    caller = local_caller(path, origins=(origin,), credentials=("s3cret",))

    assert status(caller, policy) == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "https://127.0.0.1:8000"])
def test_the_own_origin_may_call(origin):
    assert status(local_caller(origins=(origin,)), LOCAL) is None


def test_one_foreign_origin_among_several_is_enough_to_refuse():
    origins = ("http://127.0.0.1:8000", "http://evil.example")

    assert status(local_caller(origins=origins), LOCAL) == 403


@given(
    st.text(string.printable, min_size=1), st.sampled_from(["/predict", "/stats", "/docs", "/x"])
)
def test_only_the_token_itself_opens_a_guarded_path(sent, path):
    expected = None if sent == "s3cret" else 401

    assert status(Caller(path, host="any.example", credentials=(sent,)), GUARDED) == expected


def test_a_guarded_service_answers_under_any_host():
    caller = Caller("/predict", host="hub.example", address="10.0.0.9", credentials=("s3cret",))

    assert status(caller, GUARDED) is None


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_health_is_open_without_a_token(path):
    assert status(Caller(path, host="pod:80", address="10.0.0.9"), GUARDED) is None


@pytest.mark.parametrize(
    "path", ["/health/", "/HEALTH", "/health/live/x", "//health", "/metrics", "/feedback"]
)
def test_nothing_else_is_open(path):
    assert status(Caller(path, host="pod:80"), GUARDED) == 401


def test_a_browser_session_opens_what_the_token_opens_and_does_not_tell_it():
    session = session_of("s3cret")

    assert status(Caller("/docs", sessions=(session,)), GUARDED) is None
    assert status(Caller("/docs", credentials=(session,)), GUARDED) == 401
    assert status(Caller("/docs", sessions=("s3cret",)), GUARDED) == 401
    assert "s3cret" not in session


def test_a_container_without_a_token_answers_any_machine_under_any_name():
    assert status(Caller("/predict", host="10.1.2.3:80", address="10.0.0.9"), CONTAINER) is None


ALLOWING = AccessPolicy("s3cret", allowed_hosts=frozenset({"api.example"}))
OPEN_TO_NAMES = AccessPolicy(None, loopback_only=False, allowed_hosts=frozenset({"api.example"}))


@pytest.mark.parametrize("policy", [ALLOWING, OPEN_TO_NAMES])
@pytest.mark.parametrize(
    ("host", "expected"),
    [("api.example", None), ("API.example:443", None), ("localhost:8000", None),
     ("evil.example", 421), ("xapi.example", 421), ("api.example.evil.example", 421), ("", 421)],
)  # fmt: skip
def test_where_names_are_listed_no_other_name_is_good(policy, host, expected):
    caller = Caller("/predict", host=host, address="10.0.0.9", credentials=("s3cret",))

    assert status(caller, policy) == expected


@pytest.mark.parametrize("policy", [ALLOWING, OPEN_TO_NAMES, GUARDED, CONTAINER])
@pytest.mark.parametrize(
    "host",
    ["10.1.2.3:8000", "[fd00::17]:8000", "churn", "churn.default.svc.cluster.local:80", ""],
)
def test_probes_of_a_cluster_ask_a_pod_by_any_name(policy, host):
    # A kubelet sends the address of the pod and no token; HTTP/1.0 probes send no name at all.
    for path in ("/health/live", "/health/ready", "/v2/health/ready"):
        assert status(Caller(path, host=host, address="10.0.0.1"), policy) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        # An Ingress, and jupyter-server-proxy, pass on the name that the browser used.
        ("churn.example", "https://churn.example"),
        ("churn.example", "http://churn.example:80"),
        ("hub.example:8443", "https://hub.example:8443"),
        ("churn.default.svc.cluster.local", "http://churn.default.svc.cluster.local"),
    ],
)
def test_a_page_of_the_name_that_the_proxy_passes_on_may_call(host, origin):
    caller = Caller("/predict", host, (origin,), address="10.0.0.9", credentials=("s3cret",))

    assert status(caller, GUARDED) is None


@pytest.mark.parametrize("host", ["a b", "evil/x", "a,b", "user@localhost", "[::1", "a:b:c", "é"])
def test_what_is_no_host_is_refused_whoever_sends_it(host):
    caller = Caller("/predict", host=host, address="10.0.0.9", credentials=("s3cret",))

    assert status(caller, GUARDED) == 400
    assert status(caller, CONTAINER) == 400


def test_vertex_tells_where_it_asks_for_health():
    paths = open_paths_of({"AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2"})

    assert paths == OPEN_PATHS | {"/v1/endpoints/1/deployedModels/2"}
    assert open_paths_of({}) == OPEN_PATHS


@pytest.mark.parametrize(
    "path",
    ["/predict", "/v2/models/iris/infer", "/v1/models/iris:predict", "/invocations", "/stats",
     "/metrics", "/docs", "health", "/health/../predict", "/a b", "//health", "/", "/{method}",
     "/same"],
)  # fmt: skip
def test_a_health_route_that_would_open_more_than_health_is_refused(path):
    environment = {"AIP_HEALTH_ROUTE": path, "AIP_PREDICT_ROUTE": "/same"}

    with pytest.raises(ServingError, match="AIP_HEALTH_ROUTE"):
        open_paths_of(environment)


def test_a_cookie_belongs_to_the_path_of_its_service_and_to_https_where_it_came_by_it():
    plain = session_cookie("s3cret")
    behind = session_cookie("s3cret", path="/user/ada/proxy/8123", is_encrypted=True)

    assert plain.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert "; Path=/user/ada/proxy/8123; " in behind
    assert behind.endswith("; Secure")


def test_a_cookie_that_is_hard_to_parse_costs_no_time():
    began = time.perf_counter()
    caller_of(scope((b"cookie", b'nbdeploy_a="' + b"\\\\" * 30_000)))

    assert time.perf_counter() - began < 0.5


def test_the_token_is_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(sent, right):
        compared.append((sent, right))
        return sent == right

    monkeypatch.setattr(security.hmac, "compare_digest", compare)
    caller = Caller("/predict", credentials=("wrong", "s3cret"), sessions=("wrong",))

    assert status(caller, GUARDED) is None
    assert len(compared) == 3


def scope(*headers, path="/predict"):
    return {"path": path, "headers": list(headers), "client": ("127.0.0.1", 5)}


def test_credentials_are_read_from_both_headers_and_the_cookie():
    caller = caller_of(
        scope(
            (b"authorization", b"bearer one"),
            (b"x-api-key", b"two"),
            (b"cookie", b"other=x; nbdeploy_12ab=three"),
        )
    )

    assert caller.credentials == ("one", "two")
    assert caller.sessions == ("three",)


@pytest.mark.parametrize(
    "foreign",
    ['settings={"theme": [1, 2]}', "consent", "a[0]=1", "x=with space", "größe=1", "=;;", '"'],
)
def test_cookies_of_other_programs_on_this_machine_do_not_end_a_session(foreign):
    caller = caller_of(scope((b"cookie", f"{foreign}; nbdeploy_12ab=three".encode())))

    assert caller.sessions == ("three",)


def test_two_host_headers_name_no_known_host():
    caller = caller_of(scope((b"host", b"localhost"), (b"host", b"evil.example")))

    assert status(caller, LOCAL) == 421


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"host", b"origin", b"cookie", b"authorization", b"x-api-key"]),
            st.binary(),
        )
    )
)
def test_no_header_breaks_the_decision(headers):
    for policy in (LOCAL, GUARDED, CONTAINER):
        assert status(caller_of(scope(*headers)), policy) in {None, 400, 401, 403, 421}


def test_secrets_are_in_no_repr():
    caller = local_caller(credentials=("s3cret",), sessions=("s3cret",))

    assert "s3cret" not in repr(caller) + repr(GUARDED)


def test_a_machine_of_ones_own_needs_no_token():
    assert choose_token("auto", host="127.0.0.1", is_shared=lambda: False) is None


def test_a_shared_machine_gets_a_token_that_nobody_guesses():
    first, second = (choose_token("auto", host="localhost", is_shared=lambda: True) for _ in "ab")

    assert first != second
    assert len(first) >= 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "my-laptop.example"])
def test_other_machines_need_expose_and_then_a_token(host):
    with pytest.raises(ServingError, match="expose=True"):
        choose_token("auto", host=host)
    with pytest.raises(ServingError, match="needs a token"):
        choose_token(None, host=host, expose=True)
    assert choose_token("auto", host=host, expose=True, is_shared=lambda: False)


@pytest.mark.parametrize("token", ["", "  ", "zwölf", "two\nlines"])
def test_a_token_that_no_header_can_carry_is_refused(token):
    with pytest.raises(ServingError, match="printable ASCII"):
        choose_token(token, host="127.0.0.1")


@pytest.mark.parametrize("variable", ["JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_API_TOKEN"])
def test_a_hub_is_a_shared_machine(variable):
    assert is_shared_machine({variable: "/user/ada/"})


@pytest.mark.parametrize(("others", "is_shared"), [([], False), (["eva"], True)])
def test_a_machine_is_shared_when_somebody_else_is_logged_in(monkeypatch, others, is_shared):
    me = psutil.Process().username()
    logged_in = [SimpleNamespace(name=name) for name in [me, me, *others]]
    monkeypatch.setattr(psutil, "users", lambda: logged_in)

    assert is_shared_machine({}) is is_shared


def test_loopback_is_told_from_other_addresses():
    assert not any(map(is_loopback, ["", "example.org", "0.0.0.0", "::", "127.0.0.1.example"]))


def test_a_one_time_code_opens_once_and_within_a_minute():
    now = [100.0]
    codes = OneTimeCodes(clock=lambda: now[0])
    first, second = codes.issue(), codes.issue()

    assert codes.redeem(first)
    assert not codes.redeem(first)
    now[0] += ONE_TIME_SECONDS + 0.1
    assert not codes.redeem(second)
    assert not codes.redeem("made up")
