"""The command: build the notebooks, or check them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from nbformat import NotebookNode

from builder.chinese import read_terms
from builder.execution import ExecutionError, execute
from builder.lengths import LONGEST_RUN, table
from builder.notebook import code_cells, compose, copy_outputs, read_notebook, write_notebook
from builder.outputs import keep_stored, read_mask
from builder.review import review, review_source
from builder.source import LANGUAGES, Edition, Source, SourceError, read_sources
from builder.twins import read_untranslated, review_twins, stale_twins

__all__ = ["main"]

_HERE = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Build or check; give 0 if all is well, 1 otherwise."""
    options = _parser().parse_args(arguments)
    try:
        sources = _chosen(read_sources(options.root / "src"), options.names)
        if options.check:
            problems = _check(sources, options.root, everything=not options.names)
        else:
            how = {"fresh": options.fresh, "only_text": options.text, "same": options.same}
            build = _Build(options.root, **how)
            problems = [line for source in sources for line in build(source)]
            print(table(sources, build.seconds))
    except (SourceError, ExecutionError) as error:
        problems = [str(error)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Build the notebooks, or check them.")
    parser.add_argument(
        "names", nargs="*", help="names of scripts, such as quickstart; default all"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="compare, without running anything")
    how.add_argument("--fresh", action="store_true", help="measure anew, keep no stored number")
    how.add_argument(
        "--text", action="store_true", help="only texts changed: run nothing, keep the outputs"
    )
    parser.add_argument(
        "--same", action="store_true", help="the Chinese still says what the English says"
    )
    parser.add_argument("--root", type=Path, default=_HERE, help="the folder of the notebooks")
    return parser


def _chosen(sources: list[Source], names: list[str]) -> list[Source]:
    known = {source.name: source for source in sources}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            near = f" Did you mean {close[0]!r}?" if close else ""
            message = f"There is no script {name!r}.{near} There are: {', '.join(known)}."
            raise SourceError(message)
    return [known[name] for name in names] or sources


@dataclass
class _Build:
    root: Path
    fresh: bool
    only_text: bool
    same: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, source: Source) -> list[str]:
        problems = _review_script(source, self.root)
        if not self.same:
            problems += [f"{source.path}: {problem}" for problem in self._stale(source)]
        if problems:
            return problems
        editions = source.editions()
        lead = next(edition for edition in editions if edition.is_executed)
        ran = self._stored(source, lead) if self.only_text else self._executed(source, lead)
        for edition in editions:
            notebook = compose(source, edition)
            if edition.is_executed:
                copy_outputs(ran, notebook)
            write_notebook(notebook, self.root / edition.path)
        if self.seconds.get(source.name, 0.0) > LONGEST_RUN:
            seconds = self.seconds[source.name]
            problems.append(f"{source.path}: ran {seconds:.0f} s, at most {LONGEST_RUN:.0f}")
        return problems + [line for one in editions for line in review(source, one, self.root)]

    def _stale(self, source: Source) -> Iterator[str]:
        leads = [edition for edition in source.editions() if edition.is_executed]
        stored = [read_notebook(self.root / edition.path) for edition in leads]
        return stale_twins(source, *stored) if len(stored) == len(LANGUAGES) else iter(())

    def _executed(self, source: Source, lead: Edition) -> NotebookNode:
        ran = compose(source, lead)
        began = time.monotonic()
        try:
            execute(ran)
        except ExecutionError as error:
            message = f"{source.path}: {error}"
            raise ExecutionError(message) from error
        self.seconds[source.name] = time.monotonic() - began
        if not self.fresh:
            mask = read_mask(self.root / "sanitize.cfg")
            keep_stored(ran, read_notebook(self.root / lead.path), mask)
        return ran

    def _stored(self, source: Source, lead: Edition) -> NotebookNode:
        stored = read_notebook(self.root / lead.path)
        sources = [
            [cell.source for cell in code_cells(notebook)] if notebook else None
            for notebook in (stored, compose(source, lead))
        ]
        if stored is None or sources[0] != sources[1]:
            message = f"{source.path}: its code changed too: build it without --text"
            raise SourceError(message)
        return stored


def _check(sources: list[Source], root: Path, *, everything: bool) -> list[str]:
    problems = [line for source in sources for line in _review_script(source, root)]
    editions = [(source, edition) for source in sources for edition in source.editions()]
    problems += [line for source, edition in editions for line in review(source, edition, root)]
    if everything:
        problems += _without_source([edition for _, edition in editions], root)
    return problems


def _review_script(source: Source, root: Path) -> list[str]:
    twins = review_twins(source, read_untranslated(root), read_terms(root))
    return [*review_source(source), *(f"{source.path}: {problem}" for problem in twins)]


def _without_source(editions: Sequence[Edition], root: Path) -> list[str]:
    wanted = {root / edition.path for edition in editions}
    found = {path for path in root.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
    return [f"{path.relative_to(root)}: has no source" for path in sorted(found - wanted)]
