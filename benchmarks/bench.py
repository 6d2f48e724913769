"""Compare nbdeploy with the chapter's code, a raw ASGI echo and FastAPI: ``make bench``.

Exit code 1 with ``--strict`` if a goal is short.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from figures import Verdict, judge, judge_notebook
from load import generator
from models import SUBJECTS, write_models
from notebook import NotebookFigures, NotebookPlan, measure_notebook
from report import (
    circumstances,
    goals_table,
    notebook_table,
    plot,
    to_json,
    turns_table,
    write_section,
)
from servers import OWN_SERVERS, ServerKind
from turns import Loads, Plan, Run, measure_subject

__all__ = ["arguments", "measure", "tell"]

HERE = Path(__file__).parent
_MANY = Loads(4, 1000)
FULL = Plan((Loads(1), Loads(16), Loads(64), _MANY), rotations=5, seconds=1)
QUICK = Plan((Loads(1), Loads(64), _MANY), rotations=2, seconds=1)
_FULL_NOTEBOOK = NotebookPlan(starts=5, idle=10.0, busy=4, paced=10.0)
_QUICK_NOTEBOOK = NotebookPlan(starts=1, idle=3.0, busy=2, paced=4.0)
_QUICK_SERVERS = ("nbdeploy", "chapter", "echo")
_NOTEBOOK = "notebook"


def main() -> int:
    """Measure, print, write."""
    options = arguments(__doc__ or "").parse_args()
    plan = QUICK if options.quick else FULL
    names = options.servers or (_QUICK_SERVERS if options.quick else tuple(OWN_SERVERS))
    kinds = [OWN_SERVERS[name] for name in names]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder, sorted({"m1", *options.models}))
        run = measure(
            options.models, kinds, plan, folder=folder, file=lambda key, _: folder / f"{key}.joblib"
        )
        notebook = None
        if options.servers is None and not options.no_notebook:
            tell("notebook")
            plan_ = _QUICK_NOTEBOOK if options.quick else _FULL_NOTEBOOK
            notebook = measure_notebook(plan_, folder=folder, model=folder / "m1.joblib", tell=tell)
    verdicts = judge(run) + (judge_notebook(notebook) if notebook else [])
    text = _page(run, notebook, verdicts, options.models)
    print(text)
    if options.json:
        options.json.write_text(to_json(run, notebook, verdicts), encoding="utf-8")
    if options.write:
        plot(run, HERE / "bench.svg")
        write_section("bench", f"{text}\n\n![Requests per second at 64 connections](bench.svg)")
    return int(options.strict and any(verdict.state == "short" for verdict in verdicts))


def arguments(description: str) -> argparse.ArgumentParser:
    """Make the options that both benchmarks share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer loads and rotations")
    parser.add_argument("--models", type=_models, default=list(SUBJECTS), metavar="m1,m2")
    parser.add_argument("--servers", type=_words, metavar="NAME,NAME", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, for programs")
    parser.add_argument("--write", action="store_true", help="write the README's section and plot")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is short")
    parser.add_argument("--no-notebook", action="store_true", help="leave out start-up and idle")
    return parser


def measure(
    subjects: Iterable[str],
    kinds: Sequence[ServerKind],
    plan: Plan,
    *,
    folder: Path,
    file: Callable[[str, ServerKind], Path],
) -> Run:
    """Measure every model in turn."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runs = []
    for subject in subjects:
        tell(f"{subject}: {SUBJECTS[subject].title}")
        model = partial(file, subject)
        runs.append(measure_subject(subject, kinds, plan, folder=folder, model=model, tell=tell))
    return Run(
        turns=tuple(turn for run in runs for turn in run.turns),
        memory={key: value for run in runs for key, value in run.memory.items()},
        absent={key: value for run in runs for key, value in run.absent.items()},
    )


def tell(text: str) -> None:
    """Show progress, beside the result."""
    print(text, file=sys.stderr, flush=True)


def _page(
    run: Run, notebook: NotebookFigures | None, verdicts: list[Verdict], subjects: list[str]
) -> str:
    command = "make bench" if len(sys.argv) == 1 else f"bench.py {' '.join(sys.argv[1:])}"
    parts = [circumstances(command, generator()), goals_table(verdicts)]
    for subject in subjects:
        parts += [f"### {subject}: {SUBJECTS[subject].title}", turns_table(run, subject)]
    if notebook:
        parts += ["### In the notebook", notebook_table(notebook)]
    return "\n\n".join(parts)


def _models(text: str) -> list[str]:
    words = _words(text)
    unknown = [word for word in words if word not in SUBJECTS]
    if unknown:
        message = f"no model {unknown[0]!r}; there are {', '.join(SUBJECTS)}"
        raise argparse.ArgumentTypeError(message)
    return words


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


if __name__ == "__main__":
    sys.exit(main())
