"""Where requests part: which version answers, and what is remembered of it.

A service with one version and nobody who watches never comes here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nbdeploy.exceptions import DeadlineError, NbdeployError, PredictionError, RequestError
from nbdeploy.monitoring.feedback import FeedbackLog, Probabilities
from nbdeploy.serving.protocols.native import parse_json
from nbdeploy.serving.routing import Route
from nbdeploy.serving.traffic import Traffic, place_of

if TYPE_CHECKING:
    from nbdeploy.monitoring.contest import Contest, Ending
    from nbdeploy.serving.inference import Inference, InferenceRequest, Prediction
    from nbdeploy.serving.shadowing import ShadowThread

__all__ = ["Junction", "contest_of"]

_JUDGED = ("predict", "predict_proba")


class _State(NamedTuple):
    traffic: Traffic
    contest: Contest


class Junction:
    """Choose the version of each request, give ids, feed the shadow.

    Parameters
    ----------
    inference
        The path of a prediction.
    feedback
        Where answers wait for the truth.
    salt
        Names the service, so that keys fall otherwise in others.
    draw
        Gives a number from 0 to below 1, for requests without a key.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        inference: Inference,
        *,
        feedback: FeedbackLog,
        salt: str,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.feedback = feedback
        self._inference = inference
        self._salt = salt
        self._draw = draw
        self._clock = clock
        self._state: _State | None = None
        self._shadow: ShadowThread | None = None

    @property
    def contest(self) -> Contest | None:
        """What is collected now; ``None`` while nobody asked for it."""
        return None if self._state is None else self._state.contest

    def traffic(self) -> Traffic:
        """Give the shares of the versions that answer now."""
        state = self._state
        return Traffic.to(self._inference.current_route()) if state is None else state.traffic

    def set(self, traffic: Traffic | None, contest: Contest | None = None) -> None:
        """Part requests so from now on.

        Parameters
        ----------
        traffic
            The shares; ``None`` forgets all, as when another model takes everything.
        contest
            Where to collect; a new one when ``None``.
        """
        old, shadow = self._shadow, None
        if traffic is not None:
            contest = contest or contest_of(traffic)
            if traffic.shadow is not None:
                from nbdeploy.monitoring.shadow import ShadowLog  # noqa: PLC0415 -- only here
                from nbdeploy.serving.shadowing import ShadowThread  # noqa: PLC0415 -- only here

                contest.shadow = contest.shadow or ShadowLog(traffic.shadow.version)
                is_kept = old is not None and old.serves(traffic.shadow, contest.shadow)
                shadow = old if is_kept else ShadowThread(traffic.shadow, contest.shadow)
        self._state = None if traffic is None or contest is None else _State(traffic, contest)
        self._shadow = shadow
        if old is not None and old is not shadow:
            old.close()

    def close(self) -> None:
        """End the thread of the shadow."""
        if self._shadow is not None:
            self._shadow.close()

    def key_of(self, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> str | None:
        """Find what keeps the caller of a request with one version: a header, or a field.

        Parameters
        ----------
        headers
            Of the request, with names in lower case.
        body
            Of the request. A field is looked for beside the rows, and in the first row.
        """
        state = self._state
        if state is None or len(state.traffic.routes) == 1:
            return None
        name = state.traffic.key
        wanted = name.lower().encode("latin-1", "replace")
        for header, value in headers:
            if header == wanted:
                return value.decode("latin-1")
        try:
            document = parse_json(body)
        except RequestError:
            return None
        return _key_in(document, name, state.traffic.primary.signature.names)

    async def predict(
        self,
        request: InferenceRequest,
        key: str | None = None,
        *,
        started: float | None = None,
    ) -> Prediction:
        """Answer with the version that a key, or else chance, chooses."""
        state = self._state or self._begin()
        traffic, contest = state
        place = self._draw() if key is None else place_of(key, salt=self._salt)
        route = traffic.at(place)
        began = self._clock()
        try:
            prediction = await self._inference.predict(request, route=route, started=started)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            contest.ended(route.version, self._clock() - began, _ending(error))
            raise
        contest.ended(route.version, self._clock() - began, "answered")
        output = prediction.output
        if request.method in _JUDGED:
            labels = output if request.method == "predict" else _likeliest(output, route)
            classes = route.predictor.classes
            # They are the output itself where it holds no probabilities of known labels.
            chances = None if labels is output else Probabilities(output, classes or ())
            prediction_id = self.feedback.remember(contest, route.version, labels, chances)
            prediction = prediction._replace(id=prediction_id)
        if self._shadow is not None:
            self._shadow.follow(request, output, prediction.id)
        return prediction

    def _begin(self) -> _State:
        """Collect what the one version does, now that somebody asked for an id."""
        traffic = Traffic.to(self._inference.current_route())
        self._state = _State(traffic, contest_of(traffic))
        return self._state


def contest_of(traffic: Traffic) -> Contest:
    """Make the contest of the versions in a traffic."""
    # Most services have one version and never a contest.
    from nbdeploy.monitoring.contest import Contest  # noqa: PLC0415 -- see above
    from nbdeploy.monitoring.scores import metric_for  # noqa: PLC0415 -- see above

    answers: list[Any] = []
    for route in traffic.routes:
        try:
            question = route.question(route.predictor.methods[0], [route.signature.example_row()])
            answers += question.run()
        except NbdeployError:
            # The made-up row may be one that a model cannot take: its labels tell enough.
            continue
    has_classes = any(route.predictor.classes is not None for route in traffic.routes)
    return Contest(traffic.shares, metric_for(answers, has_classes=has_classes))


def _ending(error: Exception) -> Ending:
    is_fault = isinstance(error, (PredictionError, DeadlineError))
    return "failed" if is_fault or not isinstance(error, NbdeployError) else "refused"


def _likeliest(output: list[Any], route: Route) -> list[Any]:
    """Give the label with the highest probability of every row, where labels are known."""
    classes = route.predictor.classes
    if classes is None or not all(_is_row_of_numbers(row, len(classes)) for row in output):
        return output
    return [classes[max(range(len(row)), key=row.__getitem__)] for row in output]


def _is_row_of_numbers(row: Any, width: int) -> bool:
    return isinstance(row, list) and len(row) == width and all(isinstance(p, float) for p in row)


def _key_in(document: Any, name: str, names: tuple[str, ...]) -> str | None:
    rows = document
    if isinstance(document, dict):
        if name in document:
            return _text(document[name])
        rows = document.get("features", document.get("instances"))
    if isinstance(rows, list) and rows and isinstance(rows[0], (list, dict)):
        rows = rows[0]
    if isinstance(rows, Mapping):
        value = rows.get(name)
        return _text(value[0] if isinstance(value, list) and value else value)
    if isinstance(rows, list) and name in names and len(rows) == len(names):
        return _text(rows[names.index(name)])
    return None


def _text(value: Any) -> str | None:
    """Write a key as a header would: 17, "17" and 17.0 are the same customer."""
    if value is None or isinstance(value, (list, dict)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
