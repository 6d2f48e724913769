"""The command: build the notebooks, or check them."""

from __future__ import annotations

import argparse
import sys
import time
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from builder.execution import ExecutionError, execute
from builder.notebook import compose, copy_outputs, read_notebook, write_notebook
from builder.outputs import keep_stored, read_mask
from builder.review import review, review_source
from builder.source import Edition, Source, SourceError, read_sources

__all__ = ["main"]

_HERE = Path(__file__).parents[1]
_LONGEST_RUN = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Build or check; give 0 if all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(description="Build the notebooks, or check them.")
    parser.add_argument(
        "names", nargs="*", help="names of scripts, such as quickstart; default all"
    )
    parser.add_argument("--check", action="store_true", help="compare, without running anything")
    parser.add_argument("--fresh", action="store_true", help="measure anew, keep no stored number")
    parser.add_argument("--root", type=Path, default=_HERE, help="the folder of the notebooks")
    options = parser.parse_args(arguments)
    try:
        sources = _chosen(read_sources(options.root / "src"), options.names)
        if options.check:
            problems = _check(sources, options.root, everything=not options.names)
        else:
            build = partial(_build, root=options.root, fresh=options.fresh)
            problems = [line for source in sources for line in build(source)]
    except (SourceError, ExecutionError) as error:
        problems = [str(error)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _chosen(sources: list[Source], names: list[str]) -> list[Source]:
    known = {source.name: source for source in sources}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            near = f" Did you mean {close[0]!r}?" if close else ""
            message = f"There is no script {name!r}.{near} There are: {', '.join(known)}."
            raise SourceError(message)
    return [known[name] for name in names] or sources


def _build(source: Source, *, root: Path, fresh: bool) -> list[str]:
    problems = review_source(source)
    if problems:
        return problems
    editions = source.editions()
    lead = next(edition for edition in editions if edition.is_executed)
    ran = compose(source, lead)
    began = time.monotonic()
    try:
        execute(ran)
    except ExecutionError as error:
        return [f"{source.path}: {error}"]
    seconds = time.monotonic() - began
    if not fresh:
        keep_stored(ran, read_notebook(root / lead.path), read_mask(root / "sanitize.cfg"))
    for edition in editions:
        notebook = compose(source, edition)
        if edition.is_executed:
            copy_outputs(ran, notebook)
        write_notebook(notebook, root / edition.path)
    print(f"{source.name}: {len(editions)} notebook(s), run in {seconds:.1f} s")
    if seconds > _LONGEST_RUN:
        problems.append(f"{source.path}: ran {seconds:.0f} s, at most {_LONGEST_RUN:.0f}")
    return problems + [line for edition in editions for line in review(source, edition, root)]


def _check(sources: list[Source], root: Path, *, everything: bool) -> list[str]:
    problems = [line for source in sources for line in review_source(source)]
    editions = [(source, edition) for source in sources for edition in source.editions()]
    problems += [line for source, edition in editions for line in review(source, edition, root)]
    if everything:
        problems += _without_source([edition for _, edition in editions], root)
    return problems


def _without_source(editions: list[Edition], root: Path) -> list[str]:
    wanted = {root / edition.path for edition in editions}
    found = {path for path in root.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
    return [f"{path.relative_to(root)}: has no source" for path in sorted(found - wanted)]
