"""The card of a service: what it is, where it is, how to call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nbdeploy.display.html import Html, element, escape, fragment, link, visible
from nbdeploy.display.members import MemberFacts, members_element
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table, shortened
from nbdeploy.display.units import counted

__all__ = ["ServiceCard"]

_OPEN_COLUMNS = 8
_SCHEMA_ROWS = 100
# The shape differs too: who sees no green reads it as well.
_DOTS = {"running": ("●", "nbd-running"), "stopped": ("○", "nbd-stopped")}


@dataclass(frozen=True, kw_only=True, repr=False)
class ServiceCard(ReprMixin):
    """The facts of one service, for a reader who wants to call it.

    Parameters
    ----------
    name
        The name of the service.
    model_type
        The class of the model.
    state
        Whether it answers.
    url
        Where programs call it.
    browser_url
        What a browser opens: a page below `url`, or where a proxy leads to it; ``None`` when there
        is no such address.
    browser_note
        A sentence on how to open the service in a browser, or why that is not possible. It is in
        the text too, so it holds no address.
    methods
        The endpoints.
    schema
        Name, type and note of each column of the input.
    who_may_call
        A sentence.
    curl
        A call to copy and paste.
    other_calls
        The same call in other languages, each with its name.
    notes
        Sentences on what the reader should know now. They are in the text too, so they hold no
        port, time or address.
    version
        The version that answers; ``None`` when it has no name.
    members
        The members of an ensemble, with what each did so far.

    Examples
    --------
    >>> card = ServiceCard(
    ...     name="iris",
    ...     model_type="LogisticRegression",
    ...     state="running",
    ...     url="http://127.0.0.1:49152",
    ...     methods=("/predict",),
    ...     schema=(("petal width", "number", "0.1 to 2.5"),),
    ... )
    >>> print(card.to_text())
    iris: LogisticRegression, running
      endpoints  /predict
      input      petal width  number  0.1 to 2.5
    """

    name: str
    model_type: str
    state: Literal["running", "stopped"]
    url: str
    browser_url: str | None = None
    browser_note: str = ""
    methods: Sequence[str] = ()
    schema: Sequence[tuple[str, str, str]] = ()
    who_may_call: str = ""
    curl: str = ""
    other_calls: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    version: str | None = None
    members: Sequence[MemberFacts] = ()

    def __repr__(self) -> str:
        return f"<ServiceCard {self.name!r} {self.state}>"

    def brief(self) -> ServiceCard:
        """Leave out what a row looks like and how to call it: another card says that above."""
        return replace(self, methods=(), schema=(), curl="", other_calls=())

    def to_text(self) -> str:
        """Write the facts that stay the same from run to run: no port, time or address."""
        facts = [
            ("endpoints", visible(", ".join(self.methods))),
            ("access", visible(self.who_may_call)),
            ("browser", visible(self.browser_note)),
            ("input", _schema_text(self.schema)),
            ("members", "\n".join(map(str, self.members))),
            *(("note", visible(note)) for note in self.notes),
        ]
        return "\n".join([self._title(), *(_fact(*fact) for fact in facts if fact[1])])

    def to_html(self) -> str:
        """Write the card."""
        is_running = self.state == "running"
        facts = (
            ("URL", self._address() if is_running else None),
            ("Browser", self._browser() if is_running else None),
            ("Endpoints", _chips(self.methods) if self.methods else None),
            ("Access", self.who_may_call or None),
            ("Input", _schema_html(self.schema) if self.schema else None),
            ("Members", members_element(self.members) if self.members else None),
            ("Call it", self._calls() if self.curl and is_running else None),
        )
        rows = (
            Html(element("dt", label) + element("dd", value))
            for label, value in facts
            if value is not None
        )
        notes = (element("p", note, class_="nbd-note") for note in self.notes)
        return fragment(self._head(), element("dl", *rows), *notes, class_="nbd-card")

    def _title(self) -> str:
        # The version may be a digest, which is another one with every release of a library.
        return visible(f"{shortened(self.name)}: {shortened(self.model_type)}, {self.state}")

    def _head(self) -> Html:
        dot, kind = _DOTS.get(self.state, _DOTS["stopped"])
        version = element("bdi", shortened(self.version)) if self.version else None
        return element(
            "div",
            element("strong", element("bdi", shortened(self.name)), class_="nbd-name"),
            " ",
            element("span", "version ", version, class_="nbd-version") if version else None,
            " ",
            element("span", element("bdi", shortened(self.model_type)), class_="nbd-quiet"),
            " ",
            element(
                "span",
                element("span", dot, aria_hidden="true"),
                f" {self.state}",
                class_=f"nbd-state {kind}",
            ),
            class_="nbd-head",
        )

    def _calls(self) -> Html:
        others = (
            element("details", element("summary", language), _code(code))
            for language, code in self.other_calls
        )
        return Html(_code(self.curl) + "".join(others))

    def _address(self) -> Html:
        if self.browser_url is None or not self._is_direct():
            return element("code", self.url, class_="nbd-copy")
        return link(self.browser_url, self.url, class_="nbd-url")

    def _browser(self) -> Html | None:
        through = None if self.browser_url is None or self._is_direct() else self.browser_url
        page = link(through, "Open the page", class_="nbd-url") if through else None
        note = element("div", self.browser_note) if self.browser_note else None
        return Html((page or "") + (note or "")) or None

    def _is_direct(self) -> bool:
        """Tell whether the browser opens what programs call."""
        return (self.browser_url or "").startswith(f"{self.url}/")


def _fact(label: str, text: str) -> str:
    return f"  {label:<11}" + text.replace("\n", "\n" + " " * 13)


def _schema_table(schema: Sequence[tuple[str, str, str]], limit: int) -> Table:
    return Table(("column", "type", "note"), schema, limit=limit, noun="column")


def _schema_text(schema: Sequence[tuple[str, str, str]]) -> str:
    if not schema:
        return ""
    # The column names alone would say "column  type  note" above one or two lines.
    return _schema_table(schema, _OPEN_COLUMNS).to_text().partition("\n")[2]


def _schema_html(schema: Sequence[tuple[str, str, str]]) -> Html:
    table = _schema_table(schema, _SCHEMA_ROWS).element()
    if len(schema) <= _OPEN_COLUMNS:
        return element("div", table, class_="nbd-scroll")
    summary = element("summary", counted(len(schema), "column"))
    return element("details", summary, element("div", table, class_="nbd-scroll"))


def _chips(methods: Sequence[str]) -> Html:
    return Html(" ".join(element("code", method, class_="nbd-chip") for method in methods))


def _code(text: str) -> Html:
    return element("pre", escape(text, keep="\n\t"), class_="nbd-copy")
