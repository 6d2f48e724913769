"""What a thread that calls models is told, and no other thread of the process.

A notebook and its services share one process. In a thread that serves, a call of a model takes one
core: requests come side by side, and a call that spreads over busy cores waits for the slowest.
Checks of scikit-learn that repeat what the signature checked are left out. The threads of cells
keep all settings that they have.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

__all__ = [
    "FINITE_BOUND",
    "chosen_output",
    "get_ready",
    "prepare_call",
    "quick_switching",
    "serving_thread",
]

SWITCH_SECONDS = 0.0005
"""Python's own 5 ms let a busy cell delay each step of an answer; with this, a tenth of that."""

FINITE_BOUND = 1e18
"""Numbers below it stay finite in float32 too, and when a scaler multiplies them."""

_USUAL_OUTPUT = "default"

_this = threading.local()
_lock = threading.Lock()
_serving = 0
_before = 0.0


@contextmanager
def serving_thread() -> Iterator[None]:
    """Let this thread call models; it is as it was before, afterwards."""
    with ExitStack() as stack:
        _this.stack = stack
        _this.assumes_finite = None
        stack.callback(_this.__dict__.clear)
        yield


def chosen_output() -> str:
    """Tell what transformers give in this thread: ``sklearn.set_config(transform_output=...)``.

    scikit-learn keeps it for each thread, so that of a cell does not reach those that serve.
    """
    if "sklearn" not in sys.modules:
        return _USUAL_OUTPUT
    import sklearn  # noqa: PLC0415 -- loaded already

    chosen: str = sklearn.get_config()["transform_output"]
    return chosen


def get_ready() -> None:
    """Set a serving thread up, once; the libraries of its models are loaded by its first call."""
    stack = getattr(_this, "stack", None)
    if stack is not None and not getattr(_this, "is_set_up", False):
        _this.is_set_up = True
        _set_up(stack)


def prepare_call(rows: Any, transform_output: str = _USUAL_OUTPUT) -> None:
    """Set a serving thread up for a call of a model; any other thread stays as it is.

    Parameters
    ----------
    rows
        What the model will be asked. scikit-learn is spared a look for NaN and infinity where a
        quicker look finds none.
    transform_output
        What the model's transformers shall give, see `chosen_output`.
    """
    if getattr(_this, "stack", None) is None:
        return
    get_ready()
    known = _this.assumes_finite
    if known is None:
        return
    if transform_output != _this.transform_output:
        import sklearn  # noqa: PLC0415 -- loaded, or nothing were known

        sklearn.set_config(transform_output=transform_output)
        _this.transform_output = transform_output
    # Of NaN and infinity no comparison says yes.
    is_finite = (
        type(rows) is np.ndarray
        and rows.dtype.kind in "fiu"
        and bool(rows.min() > -FINITE_BOUND and rows.max() < FINITE_BOUND)
    )
    if is_finite is not known:
        import sklearn  # noqa: PLC0415 -- loaded, or nothing were known

        sklearn.set_config(assume_finite=is_finite)
        _this.assumes_finite = is_finite


def _set_up(stack: ExitStack) -> None:
    import joblib  # noqa: PLC0415 -- not before a model is called
    import threadpoolctl  # noqa: PLC0415 -- as above

    # Whatever n_jobs the model was fitted with; the object of the user is not touched.
    stack.enter_context(joblib.parallel_config(backend="sequential"))
    # OpenMP keeps this limit for each thread; that of BLAS would be the whole process's.
    stack.enter_context(threadpoolctl.threadpool_limits(1, user_api="openmp"))
    if "sklearn" in sys.modules:
        import sklearn  # noqa: PLC0415 -- only where the model brought it

        stack.enter_context(sklearn.config_context(skip_parameter_validation=True))
        _this.assumes_finite = sklearn.get_config()["assume_finite"]
        _this.transform_output = sklearn.get_config()["transform_output"]


@contextmanager
def quick_switching() -> Iterator[None]:
    """Let Python change threads more often while something serves beside the cells."""
    global _serving, _before  # noqa: PLW0603 -- the interpreter has one interval, for all
    with _lock:
        if _serving == 0:
            _before = sys.getswitchinterval()
            sys.setswitchinterval(min(_before, SWITCH_SECONDS))
        _serving += 1
    try:
        yield
    finally:
        with _lock:
            _serving -= 1
            # Who set another interval meanwhile keeps it.
            if _serving == 0 and abs(sys.getswitchinterval() - SWITCH_SECONDS) < SWITCH_SECONDS / 2:
                sys.setswitchinterval(_before)
