"""The path of one prediction, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nbdeploy.exceptions import RequestError, StoppedError
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.pace import Pace
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.eager import gathered
from nbdeploy.serving.question import Question
from nbdeploy.serving.routing import Route

if TYPE_CHECKING:
    from nbdeploy.serving.junction import Junction
    from nbdeploy.serving.request_recording import RequestRecorder

__all__ = ["Inference", "InferenceRequest", "Look", "Prediction", "check_method"]

# Enough for quantiles, and four seconds to fill the window of drift; each request that is looked at
# waits for it.
_LOOKS_A_SECOND = 250


class InferenceRequest(NamedTuple):
    """What every protocol decodes into: a method of the model and rows in any accepted form.

    The caller may want the answer within fewer seconds than the service allows.
    """

    method: str
    rows: Any
    within: float | None = None


class Look(NamedTuple):
    """A closer look at one request: where its time goes."""

    monitor: ModelMonitor
    predicted: float

    def encoded(self) -> None:
        """Tell that the answer is written."""
        self.monitor.details.add_stages(encode=self.monitor.clock() - self.predicted)


class Prediction(NamedTuple):
    """What every protocol encodes: one plain item a row, and the version that answered.

    The id is for who will tell the truth about it later; the look, where there is one, for who
    writes the answer.
    """

    output: list[Any]
    version: str
    id: str | None = None
    look: Look | None = None


class Inference:
    """Answer requests with the route in force.

    Parameters
    ----------
    monitor
        Where every request is counted.
    batcher
        Where predictions run.
    name
        What the service is called.
    route
        The model in force; ``None`` while it loads.
    """

    def __init__(
        self,
        *,
        monitor: ModelMonitor,
        batcher: MicroBatcher,
        name: str,
        route: Route | None = None,
    ) -> None:
        self.monitor = monitor
        self.batcher = batcher
        self.route = route
        self.pace = Pace(_LOOKS_A_SECOND)
        """Which requests are looked at closely: the stages of all, the rows of those for drift."""
        self.junction: Junction | None = None
        """Chooses the route while there is more than one, or somebody watches."""
        self.request_log: RequestRecorder | None = None
        """Records requests, if somebody wants that."""
        self._name = name

    def adopt(self, route: Route) -> None:
        """Answer with a model that was just loaded, if nothing speaks against it."""
        if self.request_log is not None:
            self.request_log.require_columns(route.signature.names)
        self.route = route

    def close(self) -> None:
        """Write what is recorded; no request comes after this."""
        if self.request_log is not None:
            self.request_log.close()

    def current_route(self) -> Route:
        """Give the model in force.

        Raises
        ------
        StoppedError
            While it loads.
        """
        if self.route is None:
            message = f"{self._name!r} is still loading its model."
            raise StoppedError(message)
        return self.route

    async def predict(
        self,
        request: InferenceRequest,
        *,
        route: Route | None = None,
        started: float | None = None,
    ) -> Prediction:
        """Validate, predict, record; with the route that was chosen already, if one was.

        It started when its body was there, now if nobody tells.
        """
        if route is None:
            if self.junction is not None:
                return await self.junction.predict(request, started=started)
            route = self.current_route()
        monitor, method = self.monitor, request.method
        if started is None:
            started = monitor.clock()
        looks = self.pace.takes()
        kept = question = None
        try:
            check_method(method, route)
            question = route.question(method, request.rows)
            if looks:
                parsed = monitor.clock()
                kept = _rows_for_drift(question)
            answering = self._answer(question, request.within, started)
            if self.request_log is not None:
                answering = self.request_log.follow(answering, question, started)
            output = await answering
        except BaseException as error:
            if self.request_log is not None and question is None:
                self.request_log.refused(route, method, started, error)
            with monitor.observe(method, version=route.version, started=started):
                raise
        version = route.version
        if question.ended is None:
            question.ended = self._count(question, output, started)
        if not looks:
            return Prediction(output, version)
        _tell_drift(question, kept, output)
        look = self._looked(started, parsed, question.ended, question.seconds_of_call)
        return Prediction(output, version, look=look)

    def _count(self, question: Question, output: list[Any], started: float) -> float:
        method, size = question.method, question.size
        is_plain = size == 1 and type(output[0]) is not list
        predicted = (output[0] if is_plain else output) if method == "predict" else None
        version = question.route.version
        return self.monitor.answered(
            method, started=started, rows=size, version=version, predicted=predicted
        )

    def count_together(self, questions: Sequence[Question], answers: list[Any]) -> None:
        """Count requests of one row each that shared a call; others are counted one by one."""
        first = questions[0]
        if len(answers) != len(questions):
            return
        is_told = first.method == "predict" and type(answers[0]) is not list
        ended = self.monitor.answered_together(
            first.method,
            started=[question.started for question in questions],
            version=first.route.version,
            predicted=answers if is_told else None,
        )
        for question in questions:
            question.ended = ended

    def _looked(self, started: float, parsed: float, ended: float, call: float | None) -> Look:
        """Tell the stages of a request; a call that nobody measured was made at once."""
        self.pace.took()
        waited = ended - parsed
        predict = waited if call is None else min(call, waited)
        self.monitor.details.add_stages(
            parse=parsed - started, queue=waited - predict, predict=predict
        )
        return Look(self.monitor, self.monitor.clock())

    async def _answer(self, question: Question, within: float | None, started: float) -> list[Any]:
        """Answer at once what costs less than to wait; queue up with the rest."""
        batcher = self.batcher
        if batcher.is_gathering:
            question.started = started
            output = await gathered(question)
        else:
            output = batcher.answer_at_once(question)
        if output is None:
            self.monitor.enter()
            try:
                output = await batcher.submit(question, within)
            finally:
                self.monitor.leave()
        return output


def _rows_for_drift(question: Question) -> Any:
    drift = question.route.drift
    return None if drift is None else drift.keep(question.rows)


def _tell_drift(question: Question, kept: Any, output: list[Any]) -> None:
    drift = question.route.drift
    if drift is not None:
        drift.add(kept, output if question.method == "predict" else None)


def check_method(method: str, route: Route) -> None:
    """Refuse a method that the model lacks, naming those it has."""
    if method not in route.predictor.methods:
        known = ", ".join(f"/{name}" for name in route.predictor.methods)
        message = f"{route.predictor.model_type} has no {method!r}. It answers at {known}."
        raise RequestError(message, status=404)
