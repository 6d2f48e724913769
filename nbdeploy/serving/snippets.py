"""Copy-paste calls of a service in the languages of its callers."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nbdeploy.display.html import Html, element, escape, fragment
from nbdeploy.display.mime import ReprMixin

__all__ = ["Snippets", "make_snippets"]


@dataclass(frozen=True, repr=False)
class Snippets(ReprMixin):
    """The same call in several languages; the row is made up, never one of the data.

    Parameters
    ----------
    curl
        For a shell.
    python
        With nbdeploy's own client.
    r
        With the package httr2.
    javascript
        For Node.js, or a page of the same origin.
    """

    curl: str
    python: str
    r: str
    javascript: str

    def __str__(self) -> str:
        return "\n\n".join(f"# {language}\n{code}" for language, code in self.by_language())

    def __repr__(self) -> str:
        return "<Snippets: .curl, .python, .r, .javascript>"

    def to_html(self) -> str:
        """Write every snippet under its language."""
        parts = (
            Html(
                element("p", language, class_="nbd-label")
                + element("pre", escape(code, keep="\n"), class_="nbd-copy")
            )
            for language, code in self.by_language()
        )
        return fragment(*parts)

    def by_language(self) -> tuple[tuple[str, str], ...]:
        """Give each language with its snippet."""
        return (
            ("curl", self.curl),
            ("Python", self.python),
            ("R", self.r),
            ("JavaScript", self.javascript),
        )


class _Key(NamedTuple):
    """How each language reads the token when a snippet runs."""

    curl: str
    python: str
    r: str
    javascript: str
    javascript_imports: tuple[str, ...] = ()


def make_snippets(
    url: str,
    row: Any,
    *,
    token_file: Path | None = None,
    token_variable: str | None = None,
    certificate: Path | None = None,
) -> Snippets:
    r"""Write the snippets of a service.

    Parameters
    ----------
    url
        Where the service is.
    row
        A row that the model takes.
    token_file
        Where the token can be read, if one is needed: the snippets read it when they run.
    token_variable
        The environment variable that holds the token, for readers who cannot read the file.
    certificate
        The file with the certificate of a service that speaks https.

    Examples
    --------
    >>> print(make_snippets("http://host", [1.5], token_variable="NBDEPLOY_TOKEN").curl)
    curl http://host/predict \
      -H 'Content-Type: application/json' \
      -H "X-API-Key: $NBDEPLOY_TOKEN" \
      -d '{"features": [1.5]}'
    """
    body = json.dumps({"features": row}, ensure_ascii=False)
    key = None
    if token_file is not None:
        key = _key_in_file(_short(token_file))
    elif token_variable is not None:
        key = _key_in_variable(token_variable)
    trusted = _short(certificate.absolute()) if certificate is not None else None
    return Snippets(
        curl=_curl(url, body, key, trusted),
        python=_python(url, row, key, trusted),
        r=_r(url, body, key, trusted),
        javascript=_javascript(url, body, key, trusted),
    )


def _key_in_file(path: str) -> _Key:
    return _Key(
        curl=f"$(cat {_unquoted_home(path)})",
        python=f"Path({path!r})",
        r=f"readLines({json.dumps(path)})",
        javascript='readFileSync(path, "utf8").trim()',
        javascript_imports=(
            'import { readFileSync } from "node:fs";',
            'import { homedir } from "node:os";',
            f'const path = {json.dumps(path)}.replace("~", homedir());',
        ),
    )


def _key_in_variable(name: str) -> _Key:
    return _Key(
        curl=f"${name}",
        python=f'os.environ["{name}"]',
        r=f'Sys.getenv("{name}")',
        javascript=f"process.env.{name}",
    )


def _short(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def _curl(url: str, body: str, key: _Key | None, certificate: str | None) -> str:
    header = f' \\\n  -H "X-API-Key: {key.curl}"' if key else ""
    trust = f" --cacert {_unquoted_home(certificate)}" if certificate else ""
    return (
        f"curl{trust} {url}/predict \\\n  -H 'Content-Type: application/json'{header} \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _unquoted_home(path: str) -> str:
    # A quoted ~ would be no home folder to the shell.
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _python(url: str, row: Any, key: _Key | None, certificate: str | None) -> str:
    lines = ["from nbdeploy import Client"]
    values = {"token": key.python if key else None}
    values["certificate"] = f"Path({certificate!r})" if certificate else None
    argument = "".join(f", {name}={value}" for name, value in values.items() if value)
    if "Path(" in argument:
        lines.insert(0, "from pathlib import Path")
    if "os.environ" in argument:
        lines.insert(0, "import os\n")
    call = f"Client({url!r}{argument}).predict({[row] if not isinstance(row, dict) else row!r})"
    return "\n".join([*lines, "", call])


def _r(url: str, body: str, key: _Key | None, certificate: str | None) -> str:
    trust = f"\n  req_options(cainfo = {json.dumps(certificate)}) |>" if certificate else ""
    header = f'\n  req_headers("X-API-Key" = {key.r}) |>' if key else ""
    return (
        "library(httr2)\n"
        f'request("{url}/predict") |>{trust}{header}\n'
        f'  req_body_raw({_r_text(body)}, type = "application/json") |>\n'
        "  req_perform() |> resp_body_json()"
    )


def _r_text(text: str) -> str:
    # R's strings know the escapes of JSON's, but for the slash.
    return json.dumps(text, ensure_ascii=False)


def _javascript(url: str, body: str, key: _Key | None, certificate: str | None) -> str:
    headers = '"Content-Type": "application/json"'
    lines: list[str] = []
    if certificate:
        lines.append(f"// Start with NODE_EXTRA_CA_CERTS={_unquoted_home(certificate)} node ...")
    if key:
        lines += key.javascript_imports
        headers += f', "X-API-Key": {key.javascript}'
    lines += [
        f'const answer = await fetch("{url}/predict", {{',
        f'  method: "POST", headers: {{{headers}}},',
        f"  body: {json.dumps(body, ensure_ascii=False)},",
        "});",
        "console.log(await answer.json());",
    ]
    return "\n".join(lines)
