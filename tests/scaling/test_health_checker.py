import gc
import threading

from nbdeploy.scaling.balancing_rules import HealthRules
from nbdeploy.scaling.health_checker import HealthChecker
from nbdeploy.scaling.load_balancer import LoadBalancer


def test_it_checks_all_endpoints_and_an_exception_is_no_health():
    balancer = LoadBalancer(["good", "bad", "broken"])

    def probe(endpoint):
        if endpoint == "broken":
            raise OSError
        return endpoint == "good"

    checker = HealthChecker(balancer, probe)
    for _ in range(3):
        checker.check()

    found = {fact.name: fact.state.value for fact in balancer.facts()}
    assert found == {"good": "up", "bad": "down", "broken": "down"}


def test_it_checks_in_the_background_until_it_is_stopped():
    balancer = LoadBalancer(["a"], health=HealthRules(interval=0.001))
    checks = threading.Semaphore(0)

    def probe(_):
        checks.release()
        return True

    with HealthChecker(balancer, probe) as checker:
        assert all(checks.acquire(timeout=10) for _ in range(3))
        thread = checker._thread
    assert not thread.is_alive()
    checker.stop()


def test_it_ends_when_nobody_holds_the_balancer():
    balancer = LoadBalancer(["a"], health=HealthRules(interval=0.001))
    checker = HealthChecker(balancer, lambda _: True).start()

    del balancer
    gc.collect()
    checker._thread.join(10)

    assert not checker._thread.is_alive()


def test_a_balancer_without_endpoints_is_checked_in_vain():
    HealthChecker(LoadBalancer([]), lambda _: False).check()
