import sys
from types import SimpleNamespace

import pytest

from nbdeploy.display import progress
from nbdeploy.display.progress import Progress, ProgressBar


@pytest.fixture
def shown(monkeypatch):
    """What a front end is told, one text a message."""
    texts = []
    handle = SimpleNamespace(update=lambda shown: texts.append(repr(shown)))
    front_end = SimpleNamespace(
        display=lambda shown, display_id: texts.append(repr(shown)) or handle
    )
    monkeypatch.setitem(sys.modules, "IPython.display", front_end)
    monkeypatch.setattr(progress, "current_cell", lambda: "a cell")
    return texts


def test_progress_is_a_bar_and_a_text():
    shown = Progress("Load test", 0.5, "10 requests")._repr_mimebundle_()

    assert shown["text/plain"] == "Load test: 50% 10 requests"
    assert '<progress value="0.500" max="1">' in shown["text/html"]
    assert '<progress value="1.000" max="1">' in Progress("Load test", 7.0).to_html()


def test_in_a_cell_it_moves_and_ends(shown):
    with ProgressBar("Load test") as bar:
        bar.update(0.5, "half")

    assert shown == ["Load test: 0%", "Load test: 50% half", "Load test: 100% done"]


def test_what_was_stopped_ends_where_it_was(shown):
    with ProgressBar("Load test") as bar:
        bar.update(0.25)
        bar.stop()
    assert shown[-1] == "Load test: 25% stopped"

    bar = ProgressBar("Load test").__enter__()
    bar.update(0.75)
    bar.__exit__(OSError, OSError(), None)
    assert shown[-1] == "Load test: 75% stopped"


def test_outside_a_kernel_nothing_is_shown(capsys):
    with ProgressBar("Load test") as bar:
        bar.update(0.5, "half")

    assert capsys.readouterr() == ("", "")


def test_sentences_stand_below_the_bar_and_a_last_word_replaces_the_note(shown):
    told = Progress("Rollout", 0.5, "1 of 2", ("a <b>reason</b>\x1b",))
    assert told.to_text() == "Rollout: 50% 1 of 2\na <b>reason</b>\\x1b"
    assert '<p class="nbd-note">a &lt;b&gt;reason&lt;/b&gt;' in told.to_html()

    with ProgressBar("Rollout") as bar:
        bar.update(0.5, "1 of 2", ("waits",))
        bar.stop("watch again later")
    assert shown[-1] == "Rollout: 50% watch again later"
