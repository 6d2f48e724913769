"""Ask a version what was asked before, off the path of every live request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbdeploy.display.progress import ProgressBar
from nbdeploy.display.units import counted
from nbdeploy.models.equality import is_equal
from nbdeploy.monitoring.latency import LatencyHistogram
from nbdeploy.monitoring.replay import Replay
from nbdeploy.monitoring.request_lines import RecordedRequest, read_lines, through_json
from nbdeploy.monitoring.shadow import ShadowLog
from nbdeploy.serving.routing import Route
from nbdeploy.serving.thread_settings import serving_thread

__all__ = ["Replayer", "replay_files", "wait_for_the_log"]

_KEPT_CHANGES = 10_000
_SHOW_SECONDS = 0.2
_OK = 200

REFUSED = "refused when it was recorded, so its rows were not kept"
UNREADABLE = "its line is torn, or none of a request log"


def wait_for_the_log(
    stats: Callable[[], Mapping[str, Any]],
    *,
    timeout: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the requests of now are in the files; for a disk that hangs not for long.

    Parameters
    ----------
    stats
        Gives the statistics of the service.
    timeout
        Seconds to wait at most.
    sleep
        Waits.
    """
    step = 0.02
    for _ in range(int(timeout / step)):
        if not stats().get("request_log", {}).get("waiting"):
            return
        sleep(step)


def replay_files(files: Sequence[Path], route: Route, known: Mapping[str, Route]) -> Replay:
    """Ask a version the requests in files, with progress in the cell.

    Parameters
    ----------
    files
        Those of a request log.
    route
        The version.
    known
        Versions that are loaded, for requests with redacted columns.
    """
    replayer = Replayer(route, known)
    total = max(1, sum(_size(path) for path in files))
    done, shown = 0, time.perf_counter()
    with ProgressBar(f"Replay on {route.version}") as bar, serving_thread():
        for path in files:
            for length, request in read_lines(path):
                replayer.ask(request)
                done += length
                if time.perf_counter() - shown > _SHOW_SECONDS:
                    shown = time.perf_counter()
                    bar.update(min(1.0, done / total), counted(replayer.lines, "request"))
    return replayer.result()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Replayer:
    """Ask a version one recorded request after the other, and compare.

    Parameters
    ----------
    route
        The version.
    known
        Versions that are loaded.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        route: Route,
        known: Mapping[str, Route],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.lines = 0
        """How many were looked at."""
        self._route = route
        self._known = known
        self._clock = clock
        self._log = ShadowLog(route.version, kept=_KEPT_CHANGES)
        self._recorded = LatencyHistogram()
        self._answered_by: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._failed_then = self._rescued = self._unclear = 0
        self._stand_ins: dict[str, None] = {}

    def ask(self, request: RecordedRequest | None) -> None:
        """Ask one; ``None`` is a line that tells of none."""
        self.lines += 1
        reason = self._reason_to_skip(request)
        if request is None or request.rows is None or reason is not None:
            self._skipped[reason or REFUSED] += 1
            return
        places = self._comparable(request)
        if places is not None and not places and request.answer is not None:
            # The version would be asked about values that nobody sent.
            return
        self._answered_by[request.version] += 1
        self._failed_then += request.status != _OK
        began = self._clock()
        try:
            question = self._route.question(request.endpoint, _rows_for(self._route, request))
            output = question.run()
        except Exception as error:  # noqa: BLE001 -- whatever it raises is what is asked for
            self._log.fail(error)
            return
        seconds = self._clock() - began
        if request.answer is None:
            self._rescued += 1
            return
        if request.size == len(request.rows):
            self._log.time(seconds)
            self._recorded.add(request.latency)
        self._compare(request, request.answer, through_json(output), places)

    def result(self) -> Replay:
        """Give what came of it."""
        return Replay(
            report=self._log.report(),
            recorded=self._recorded,
            answered_by=dict(self._answered_by),
            skipped=dict(self._skipped),
            failed_then=self._failed_then,
            rescued=self._rescued,
            unclear=self._unclear,
            stand_ins=tuple(self._stand_ins),
        )

    def _compare(
        self,
        request: RecordedRequest,
        then: list[Any],
        now: list[Any],
        places: Sequence[int] | None,
    ) -> None:
        if places is None:
            places = range(len(then))
        self._log.compare(
            [then[place] for place in places],
            [now[place] for place in places],
            prediction_id=request.id,
            places=places,
        )

    def _reason_to_skip(self, request: RecordedRequest | None) -> str | None:
        if request is None:
            return UNREADABLE
        if request.rows is None:
            return REFUSED
        route = self._route
        if request.endpoint not in route.predictor.methods:
            return f"{route.version} has no {request.endpoint}"
        missing = _missing(route, request)
        if missing and request.answer is not None and request.version not in self._known:
            names = ", ".join(missing)
            return f"{names} redacted, and {request.version}, which answered, is not loaded"
        return None

    def _comparable(self, request: RecordedRequest) -> list[int] | None:
        """Give the rows whose answer does not hang on a redacted column; ``None`` means all.

        The version that answered is asked again, with the usual values that stand in.
        """
        missing = _missing(self._route, request)
        if not missing or request.answer is None:
            return None
        self._stand_ins |= dict.fromkeys(missing)
        route = self._known[request.version]
        try:
            again = route.question(request.endpoint, _rows_for(route, request)).run()
        except Exception:  # noqa: BLE001 -- it may refuse the usual value
            again = []
        same = [
            place
            for place, (was, now) in enumerate(
                zip(request.answer, through_json(again), strict=False)
            )
            if is_equal(now, was)
        ]
        self._unclear += len(request.answer) - len(same)
        return same


def _missing(route: Route, request: RecordedRequest) -> list[str]:
    return [name for name in request.redacted if name in route.signature.names]


def _rows_for(route: Route, request: RecordedRequest) -> list[Any]:
    """Bring recorded rows to what a model takes; usual values stand in for what was redacted."""
    signature, rows = route.signature, request.rows or []
    is_numbered = all(name.isdigit() for name in request.columns)
    is_by_name = set(request.columns) == set(signature.names)
    if not request.redacted and not is_by_name and (is_numbered or signature.kind == "array"):
        # As callers send lists, or a table, to a model that knows no names.
        return rows
    usual = {column.name: column.typical for column in signature.columns}
    known = {name: usual[name] for name in _missing(route, request)}
    records = [{**known, **dict(zip(request.columns, row, strict=True))} for row in rows]
    if set(records[0]) == set(signature.names):
        return [[record[name] for name in signature.names] for record in records]
    return records
