"""``POST /feedback``: the truth about a prediction, once somebody knows it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from nbdeploy.exceptions import NbdeployError, RequestError
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.protocols.native import check_content_type, parse_json
from nbdeploy.serving.reading_routes import json_response

__all__ = ["FeedbackRequest", "add_feedback_route"]

_ACCEPTED = 202


class FeedbackRequest(BaseModel):
    """The body of ``POST /feedback``.

    Parameters
    ----------
    prediction_id
        The ``X-Prediction-ID`` of an answer.
    truth
        One value a row, in the order of the rows; null where it is not known. A single value
        for a single row.
    """

    model_config = ConfigDict(extra="forbid")

    prediction_id: str
    truth: list[Any] | Any


def add_feedback_route(app: FastAPI) -> None:
    """Add the route to an application whose ``state.service`` is set."""
    schema = FeedbackRequest.model_json_schema()
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    app.add_api_route(
        "/feedback",
        feedback,
        methods=["POST"],
        status_code=_ACCEPTED,
        summary="Tell the truth about a prediction",
        openapi_extra={"requestBody": body},
    )


async def feedback(request: Request) -> Response:
    """Join the truth to the prediction that it is about."""
    try:
        content_type = request.headers.get("content-type")
        if content_type is not None:
            check_content_type(content_type.encode("latin-1"))
        prediction_id, truth = _decoded(parse_json(await request.body()))
        is_first = request.app.state.service.feedback.accept(prediction_id, truth)
    except NbdeployError as error:
        answer = answer_of(error)
        return json_response(answer.body, answer.status, answer.headers)
    return json_response({"accepted": is_first}, _ACCEPTED)


def _decoded(document: Any) -> tuple[str, list[Any]]:
    if not isinstance(document, dict) or document.keys() != {"prediction_id", "truth"}:
        message = 'Expected {"prediction_id": the X-Prediction-ID of an answer, "truth": [...]}.'
        raise RequestError(message)
    prediction_id, truth = document["prediction_id"], document["truth"]
    if not isinstance(prediction_id, str):
        message = f"prediction_id is {str(prediction_id)[:60]!r}. Expected a text."
        raise RequestError(message)
    return prediction_id, truth if isinstance(truth, list) else [truth]
