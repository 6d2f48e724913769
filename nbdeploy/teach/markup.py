"""Sentences with `code` between backticks, as HTML."""

from __future__ import annotations

import re

from nbdeploy.display.html import Html, escape

__all__ = ["as_html"]


def as_html(sentence: str) -> Html:
    """Escape a sentence; what stands between backticks becomes code.

    Examples
    --------
    >>> as_html("call `hint(1)` & go on")
    'call <code>hint(1)</code> &amp; go on'
    """
    return Html(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence)))
