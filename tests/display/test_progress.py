from nbdeploy.display.progress import Progress, ProgressBar


def test_progress_is_a_bar_and_a_text():
    shown = Progress("Load test", 0.5, "10 requests")._repr_mimebundle_()

    assert shown["text/plain"] == "Load test: 50% 10 requests"
    assert '<progress value="0.500" max="1">' in shown["text/html"]
    assert '<progress value="1.000" max="1">' in Progress("Load test", 7.0).to_html()


def test_outside_a_kernel_nothing_is_shown(capsys):
    with ProgressBar("Load test") as bar:
        bar.update(0.5, "half")

    assert capsys.readouterr() == ("", "")
