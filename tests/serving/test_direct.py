"""Small predictions on real sockets: heads that are known, pipelines, and the gate on every way."""

from __future__ import annotations

import socket
import time

import httptools
import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nbdeploy.models.signature import Signature
from nbdeploy.serving import server as server_module
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import AccessPolicy
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService

TOKEN = "a-token-of-the-tests"


class Reader:
    """Reads answers off a connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.answers = []
        self._begin()

    def _begin(self):
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.answers.append((self.parser.get_status_code(), self.body))
        self._begin()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count=1):
        """Give that many answers."""
        while len(self.answers) < count:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(self.answers)
            # One answer at a time: a response parser takes no second message.
            for part in split(data):
                self.parser.feed_data(part)
        taken, self.answers = self.answers[:count], self.answers[count:]
        return taken

    def ask(self, rows, **headers):
        self.send(post(rows, **headers))
        ((status, body),) = self.read()
        return status, orjson.loads(body)


def split(data):
    begin = b"HTTP/1.1 "
    places = [place for place in range(len(data)) if data.startswith(begin, place)]
    if not places or places[0]:
        places.insert(0, 0)
    return [data[a:b] for a, b in zip(places, [*places[1:], len(data)], strict=True)]


def post(rows, path="/predict", **headers):
    body = rows if isinstance(rows, bytes) else orjson.dumps({"features": rows})
    fields = {"host": "localhost", "content-length": len(body), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=1000).fit(X, y), X


@pytest.fixture
def service(iris):
    model, X = iris
    return ModelService(route_from_model(model, example=X), access=AccessPolicy(None))


@pytest.fixture
def server(service):
    with BackgroundServer(service.app, name="direct") as server:
        yield server


@pytest.fixture
def connect(server):
    readers = []

    def open_connection():
        readers.append(Reader(server.port))
        return readers[-1]

    yield open_connection
    for reader in readers:
        reader.socket.close()


def test_the_same_head_before_other_rows_gets_the_answer_of_those_rows(connect, iris):
    model, X = iris
    reader = connect()
    rows = [[float(f"{value:.1f}") for value in row] for row in X[::7]]
    answers = [reader.ask(row) for row in rows]
    assert answers == [(200, {"prediction": [int(p)]}) for p in model.predict(np.array(rows))]


def test_many_connections_at_once_get_their_own_answers(connect, iris):
    model, X = iris
    readers = [connect() for _ in range(24)]
    for _ in range(20):
        for reader, row in zip(readers, X.tolist(), strict=False):
            reader.send(post([row]))
        answers = [orjson.loads(reader.read()[0][1])["prediction"] for reader in readers]
        assert answers == [[int(p)] for p in model.predict(X[:24])]


def test_pipelined_requests_are_answered_in_order(connect, iris):
    model, X = iris
    reader = connect()
    rows = X[::10].tolist()
    reader.ask(rows[0])
    for sizes in ([1], [3], [2, 2], [5, 1, 1]):
        for size in sizes:
            reader.send(b"".join(post([row]) for row in rows[:size]))
        expected = [int(p) for size in sizes for p in model.predict(rows[:size])]
        answers = [orjson.loads(body)["prediction"] for _, body in reader.read(sum(sizes))]
        assert answers == [[p] for p in expected]


def test_another_route_between_two_predictions_keeps_its_place(connect, iris):
    _, X = iris
    reader = connect()
    row = X[:1].tolist()
    reader.ask(row)
    get = b"GET /model/info HTTP/1.1\r\nhost: localhost\r\n\r\n"
    reader.send(post(row) + get + post(row) + get)
    answers = [orjson.loads(body) for _, body in reader.read(4)]
    assert [min(answer) for answer in answers] == ["prediction", "classes"] * 2
    assert reader.ask(row)[0] == 200


def test_a_request_that_comes_in_pieces_is_answered(connect):
    reader = connect()
    whole = post([[5.1, 3.5, 1.4, 0.2]])
    for _ in range(2):
        reader.send(whole)
        reader.read()
    for cut in (5, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, len(whole) - 3):
        reader.send(whole[:cut])
        time.sleep(0.01)
        reader.send(whole[cut:])
        assert reader.read()[0][0] == 200


def test_a_new_token_is_asked_of_connections_that_were_let_in_before(connect, service):
    reader = connect()
    row = [[5.1, 3.5, 1.4, 0.2]]
    assert [reader.ask(row)[0] for _ in range(3)] == [200, 200, 200]

    service.access = AccessPolicy(TOKEN)

    assert reader.ask(row)[0] == 401
    assert reader.ask(row, x_api_key=TOKEN)[0] == 200


def test_a_swap_is_seen_by_connections_that_are_open(connect, service, iris):
    _, X = iris
    reader = connect()
    before = [reader.ask([row])[1] for row in X[:3].tolist()]
    turned = LogisticRegression(max_iter=1000).fit(X, ["other"] * 75 + ["one"] * 75)

    service.swap(route_from_model(turned, example=X))

    after = [reader.ask([row])[1] for row in X[:3].tolist()]
    assert before == [{"prediction": [0]}] * 3
    assert after == [{"prediction": ["other"]}] * 3


def test_a_quiet_connection_is_hung_up_on_and_a_busy_one_is_not(service, monkeypatch):
    monkeypatch.setattr(server_module, "_KEEP_ALIVE", 0.3)
    row = [[5.1, 3.5, 1.4, 0.2]]
    with BackgroundServer(service.app, name="quiet") as server:
        reader = Reader(server.port)
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            assert reader.ask(row)[0] == 200
            time.sleep(0.05)
        quiet = time.monotonic()
        with pytest.raises(ConnectionError):
            reader.read()
        assert 0.1 < time.monotonic() - quiet < 2
        reader.socket.close()


HEADS = {
    "none": {},
    "wrong token": {"authorization": "Bearer wrong"},
    "half a token": {"x_api_key": TOKEN[:-1]},
    "token": {"authorization": f"Bearer {TOKEN}"},
    "key": {"x_api_key": TOKEN},
    "foreign origin": {"x_api_key": TOKEN, "origin": "https://evil.example"},
    "own origin": {"x_api_key": TOKEN, "origin": "http://localhost"},
    "foreign host": {"host": "evil.example"},
    "form": {"x_api_key": TOKEN, "content_type": "application/x-www-form-urlencoded"},
    "text": {"x_api_key": TOKEN, "content_type": "text/plain"},
    "json": {"x_api_key": TOKEN, "content_type": "application/json; charset=utf-8"},
}


ROWS = {"good": [[5.1, 3.5, 1.4, 0.2]], "bad": [["x"]], "no JSON": b"{"}


@pytest.mark.parametrize("policy", [AccessPolicy(TOKEN), AccessPolicy(None)], ids=["token", "open"])
def test_every_lane_answers_alike(service, policy):
    service.access = policy

    async def by_the_usual_way(scope, receive, send):
        await service.app(scope, receive, send)

    answers = []
    for app in (service.app, by_the_usual_way):
        given = answers_of(app)
        answers.append(given)
        assert given["key", "good"] == [(200, {"prediction": [0]})] * 3
        assert {status for status, _ in given["foreign origin", "good"]} == {403}
    assert answers[0] == answers[1]


def answers_of(app):
    """Ask everything three times on one connection."""
    given = {}
    with BackgroundServer(app, name="lanes") as server:
        for head, headers in HEADS.items():
            reader = Reader(server.port)
            for kind, rows in ROWS.items():
                given[head, kind] = [reader.ask(rows, **headers) for _ in range(3)]
            reader.socket.close()
    return given


def test_who_asks_first_whether_to_send_is_told_to_go_on(connect):
    reader = connect()
    whole = post([[5.1, 3.5, 1.4, 0.2]], expect="100-continue")
    head, body = whole.split(b"\r\n\r\n")
    for _ in range(2):
        reader.send(head + b"\r\n\r\n")
        assert reader.read()[0][0] == 100
        reader.send(body)
        assert reader.read()[0] == (200, b'{"prediction":[0]}')


def test_a_connection_that_shall_close_is_closed_after_the_answer(connect):
    reader = connect()
    reader.ask([[5.1, 3.5, 1.4, 0.2]])
    reader.send(post([[5.1, 3.5, 1.4, 0.2]], connection="close"))
    assert reader.read()[0][0] == 200
    assert reader.socket.recv(1) == b""


def mixed():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "kind": random.choice(["a", "b", None], 120),
            "size": np.where(random.random(120) < 0.1, np.nan, random.normal(size=120)),
            "age": random.integers(0, 90, 120),
        }
    )
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size", "age"]),
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, random.integers(0, 2, 120))
    return model, frame


def tabular(model, load):
    X, y = load(return_X_y=True)
    return model.fit(X, y), X


MODELS = {
    "m1": lambda: tabular(LogisticRegression(max_iter=1000), load_iris),
    "m2": lambda: tabular(RandomForestClassifier(100, random_state=0), load_breast_cancer),
    "m3": lambda: tabular(HistGradientBoostingClassifier(random_state=0), load_breast_cancer),
    "m4": mixed,
}


@pytest.mark.parametrize("name", MODELS)
def test_24_good_requests_and_a_bad_one_a_hundred_times(name):
    model, example = MODELS[name]()
    signature = Signature.learn(example=example)
    taken = example[:24]
    rows = orjson.loads(orjson.dumps(_plain_rows(taken)))
    expected = model.predict(signature.validate(rows)).tolist()
    bad = [*rows[0][:-1], "no number"] if isinstance(rows[0], list) else {**rows[0], "age": "old"}
    service = ModelService(route_from_model(model, example=example), access=AccessPolicy(None))
    with BackgroundServer(service.app, name="company") as server:
        readers = [Reader(server.port) for _ in range(25)]
        for number in range(100):
            place = number % 25
            asked = [*rows[:place], bad, *rows[place:]]
            for reader, row in zip(readers, asked, strict=True):
                reader.send(post([row]))
            answers = [reader.read()[0] for reader in readers]
            assert answers.pop(place)[0] == 422
            assert [status for status, _ in answers] == [200] * 24
            assert [orjson.loads(body)["prediction"][0] for _, body in answers] == expected
        for reader in readers:
            reader.socket.close()


def _plain_rows(rows):
    if isinstance(rows, pd.DataFrame):
        records = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return [{key: getattr(v, "item", lambda v=v: v)() for key, v in r.items()} for r in records]
    return rows.tolist()
