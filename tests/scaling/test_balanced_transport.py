import time
from collections import Counter

import httpx2 as httpx
import pytest

from nbdeploy.scaling.balanced_transport import BalancedTransport
from nbdeploy.scaling.balancing_rules import HealthRules
from nbdeploy.scaling.load_balancer import LoadBalancer
from nbdeploy.scaling.retry_budget import RetryBudget

ENDPOINTS = ["http://a:1", "http://b:2/prefix/", "http://c:3"]


class Endpoints:
    """Servers that do what a test says: an exception, or a status by the name of the host."""

    def __init__(self, **behaviour):
        self.behaviour = behaviour
        self.asked = []
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        self.asked.append(request)
        does = self.behaviour.get(request.url.host, 200)
        if isinstance(does, Exception):
            raise does
        return httpx.Response(does, json={"from": request.url.host})

    def counts(self):
        return Counter(request.url.host for request in self.asked)


def client_of(endpoints, *, clock=time.monotonic, strategy="round_robin", count=3, **options):
    balancer = LoadBalancer(ENDPOINTS[:count], clock=clock)
    budget = RetryBudget(clock=clock)
    transport = BalancedTransport(
        balancer, endpoints.transport, strategy=strategy, budget=budget, clock=clock, **options
    )
    return balancer, httpx.Client(transport=transport, base_url="http://balanced.invalid")


def test_requests_are_spread_and_addressed():
    endpoints = Endpoints()
    _, client = client_of(endpoints)

    for _ in range(6):
        client.post("/predict", content=b"[1]", headers={"X-API-Key": "k"})

    assert endpoints.counts() == {"a": 2, "b": 2, "c": 2}
    a, b = endpoints.asked[:2]
    assert (str(a.url), a.headers["Host"]) == ("http://a:1/predict", "a:1")
    assert (str(b.url), b.headers["Host"]) == ("http://b:2/prefix/predict", "b:2")
    assert a.headers["X-API-Key"] == "k"


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("broken"),
        httpx.ReadError("broken"),
        503,
        502,
    ],
    ids=["refused", "protocol", "read", "503", "502"],
)
def test_what_did_no_harm_is_tried_on_another_endpoint(failure):
    endpoints = Endpoints(a=failure)
    balancer, client = client_of(endpoints)

    answer = client.post("/predict", content=b"[1]")

    assert answer.json() == {"from": "b"}
    assert endpoints.asked[1].read() == b"[1]"
    facts = balancer.facts()
    assert [fact.failures for fact in facts] == [1, 0, 0]
    assert [fact.in_flight for fact in facts] == [0, 0, 0]


@pytest.mark.parametrize("status", [400, 404, 422, 500, 504])
def test_an_answer_of_the_service_is_never_asked_for_again(status):
    endpoints = Endpoints(a=status)
    balancer, client = client_of(endpoints)

    assert client.post("/predict", content=b"[1]").status_code == status
    assert len(endpoints.asked) == 1
    assert balancer.facts()[0].failures == (status >= 500)


def test_silence_is_not_asked_again_and_counts_as_failure():
    endpoints = Endpoints(a=httpx.ReadTimeout("silence"))
    balancer, client = client_of(endpoints)

    with pytest.raises(httpx.ReadTimeout):
        client.post("/predict", content=b"[1]")
    assert len(endpoints.asked) == 1
    assert balancer.facts()[0].failures == 1


def test_the_truth_is_not_told_twice_when_the_connection_broke():
    endpoints = Endpoints(a=httpx.ReadError("broken"))
    _, client = client_of(endpoints)

    with pytest.raises(httpx.ReadError):
        client.post("/feedback", content=b"{}")
    assert len(endpoints.asked) == 1


def test_the_truth_finds_the_one_that_predicted():
    endpoints = Endpoints(a=404, b=404)
    _, client = client_of(endpoints)

    assert all(client.post("/feedback", content=b"{}").json() == {"from": "c"} for _ in range(20))
    assert client.get("/models/unknown").status_code == 404


def test_when_all_fail_extra_requests_are_a_fifth_at_most(clock):
    endpoints = Endpoints(a=503, b=503, c=503)
    balancer, client = client_of(endpoints, clock=clock)

    for _ in range(1_000):
        clock.now += 0.02
        assert client.post("/predict", content=b"[1]").status_code == 503

    assert 1_100 < len(endpoints.asked) <= 1_200
    assert [fact.in_flight for fact in balancer.facts()] == [0, 0, 0]


@pytest.mark.parametrize("ill", ["failing", "hanging", "slow"])
def test_one_that_is_ill_affects_few_after_its_ejection(ill, clock):
    deadline, normal = 1.0, 0.02
    endpoints = Endpoints(a={"failing": 500, "hanging": httpx.ReadTimeout(""), "slow": 200}[ill])
    seconds = {"failing": normal, "hanging": deadline, "slow": 10 * normal}[ill]

    def answer(request):
        clock.now += seconds if request.url.host == "a" else normal
        return Endpoints.answer(endpoints, request)

    endpoints.transport = httpx.MockTransport(answer)
    balancer, client = client_of(endpoints, clock=clock, strategy="least_request", timeout=deadline)
    affected, ejected_at = [], None
    for number in range(15_000):
        began = clock.now
        try:
            failed = client.post("/predict", content=b"[1]").status_code != 200
        except httpx.ReadTimeout:
            failed = True
        affected.append(failed or clock.now - began > deadline)
        states = [fact.state.value for fact in balancer.facts()]
        assert states[1:] == ["up", "up"]
        if ejected_at is None and states[0] == "ejected":
            ejected_at = number

    # A slow one answers in time: it need not be ejected, and nobody is affected.
    after = affected[ejected_at or 0 :]
    assert (ejected_at is None) == (ill == "slow")
    assert sum(after) < 0.01 * len(after)


def test_one_timeout_covers_all_tries(clock):
    endpoints = Endpoints()
    seen = []

    def slow(request):
        seen.append(request.extensions["timeout"])
        clock.now += 4
        return httpx.Response(503)

    endpoints.transport = httpx.MockTransport(slow)
    _, client = client_of(endpoints, clock=clock, timeout=6.0)

    assert client.post("/predict", content=b"[1]").status_code == 503
    assert [each["read"] for each in seen] == [6.0, 2.0]
    assert [each["connect"] for each in seen] == [3.0, 1.0]


def test_a_single_endpoint_is_not_asked_twice():
    endpoints = Endpoints(a=503)
    _, client = client_of(endpoints, count=1)

    assert client.post("/predict").status_code == 503
    assert len(endpoints.asked) == 1


def test_nobody_reached_costs_nothing_of_the_budget():
    endpoints = Endpoints(a=httpx.ConnectError("refused"), b=httpx.ConnectError("refused"))
    _, client = client_of(endpoints)

    assert all(client.post("/predict").json() == {"from": "c"} for _ in range(20))


def test_endpoints_are_watched_until_it_is_closed():
    endpoints = Endpoints(a=503)
    balancer = LoadBalancer(ENDPOINTS, health=HealthRules(interval=0.001))
    transport = BalancedTransport(balancer, endpoints.transport)
    transport.watch()

    ends = time.monotonic() + 10
    while balancer.facts()[0].state.value != "down" and time.monotonic() < ends:
        time.sleep(0.005)
    transport.close()

    assert [fact.state.value for fact in balancer.facts()] == ["down", "up", "up"]
    assert not transport._checker._thread.is_alive()
    assert {request.url.path for request in endpoints.asked} == {
        "/health/ready",
        "/prefix/health/ready",
    }
