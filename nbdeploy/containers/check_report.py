"""What a rehearsal found: a list of green, amber and red, each with its cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nbdeploy.display.html import Html, element, fragment, style, visible
from nbdeploy.display.mime import ReprMixin

__all__ = ["CheckReport", "Finding"]

Light = Literal["green", "amber", "red"]
# The shape differs too: who sees no colours reads it as well.
_SIGNS = {"green": "✓", "amber": "!", "red": "✗"}


@dataclass(frozen=True)
class Finding:
    """One line of the list.

    Parameters
    ----------
    light
        Green is good, amber wants a look, red will fail.
    text
        What was found.
    cure
        What to do about it.
    detail
        Figures that differ from run to run: shown as HTML only.
    """

    light: Light
    text: str
    cure: str = ""
    detail: str = ""


@dataclass(frozen=True, repr=False)
class CheckReport(ReprMixin):
    """What `Bundle.check` returns.

    Parameters
    ----------
    name
        Of the bundle.
    findings
        In the order in which they were made.
    startup_seconds
        From the start of the process to the first ready; ``None`` if it never was.
    memory
        What the process holds after the answers, in bytes.
    size
        Of the environment and the model together, in bytes.

    Examples
    --------
    >>> print(CheckReport("churn", (Finding("amber", "It is large", "Make it small"),)))
    churn: ready, with something to look at
      ! It is large
        Make it small
    """

    name: str
    findings: Sequence[Finding]
    startup_seconds: float | None = None
    memory: int | None = None
    size: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is red."""
        return self.light != "red"

    @property
    def light(self) -> Light:
        """The worst of all."""
        lights = {finding.light for finding in self.findings}
        return "red" if "red" in lights else "amber" if "amber" in lights else "green"

    def __repr__(self) -> str:
        return f"<CheckReport of {self.name!r}: {self.light}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the list, without figures that differ from run to run."""
        lines = [f"{self.name}: {self._verdict()}"]
        for finding in self.findings:
            lines.append(f"  {_SIGNS[finding.light]} {visible(finding.text)}")
            lines += [f"    {visible(line)}" for line in finding.cure.splitlines()]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Write the card."""
        head = element(
            "div",
            element("strong", self.name, class_="nbd-name"),
            " ",
            element("span", self._verdict(), class_="nbd-quiet"),
            class_="nbd-head",
        )
        items = Html("".join(_item(finding) for finding in self.findings))
        listed = element("ul", items, class_="nbd-check")
        return fragment(style("checklist.css"), head, listed, class_="nbd-card")

    def _verdict(self) -> str:
        return {
            "green": "ready for its container",
            "amber": "ready, with something to look at",
            "red": "will fail in a container",
        }[self.light]


def _item(finding: Finding) -> Html:
    sign = element("span", _SIGNS[finding.light], class_=f"nbd-{finding.light}")
    detail = element("span", f" {finding.detail}", class_="nbd-quiet") if finding.detail else None
    cure = element("div", finding.cure, class_="nbd-cure") if finding.cure else None
    word = element("span", finding.text)
    return element("li", sign, element("div", word, detail, cure))
