# %% [markdown]
# # Exercise 4: a dashboard that tells the truth
#
# *45 to 60 minutes, seven steps. You need lessons 3 and 4.*
#
# A model names penguins, and the station wants a screen on the wall: how quick is it, what fails,
# what does it answer, and is anything wrong? You build the parts of such a dashboard yourself, each
# so small that you can test it in your head, put them on a page, and hand the rest to Prometheus and
# Grafana.
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex4.1")` gives a first nudge; ask again for more.

# %%
import json
import re
import urllib.request
from collections import Counter
from html import escape
from pathlib import Path

import numpy as np
from IPython.display import HTML
from palmerpenguins import load_penguins
from prometheus_client.parser import text_string_to_metric_families
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbdeploy import SignatureError, deploy, stop_all
from nbdeploy.teach import check, hint

# %%
penguins = load_penguins()
X, y = penguins.drop(columns="species"), penguins["species"]
measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
columns = make_column_transformer((OneHotEncoder(), ["island"]), ("passthrough", measures))
model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20)).fit(X, y)

# %% [markdown]
# ## Step 1: the tiles
#
# A request is a pair `(seconds, failed)`. Write `tiles(requests)`: it gives a dict with `requests`
# (how many), `error_rate` (a share from 0 to 1), `p50` and `p95` (seconds). Failed requests took
# time too: they count in all four. Before the first request the error rate is 0, and p50 and p95
# are `None`: nobody waited yet.

# %%
def tiles(requests):
    # solution
    seconds = [each for each, _ in requests]
    failures = sum(failed for _, failed in requests)
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) if seconds else (None, None)
    share = failures / len(requests) if requests else 0.0
    return {"requests": len(requests), "error_rate": share, "p50": p50, "p95": p95}


# %%
check("ex4.1", tiles)

# %% [markdown]
# ## Step 2: numbers that add up
#
# Two copies of a service have a p95 each, and nobody can compute p95 of both from these two. So
# Prometheus collects counts: for each of some `bounds`, how many latencies are **at most** that
# long. Counts of copies add up.
#
# Write `buckets(latencies, bounds)`: the count for each bound, and at the end the count of all. Then
# `within(counts, bounds, share)`: the smallest bound that at least this share of the requests keeps
# to; `None` if no bound does, or there was no request.

# %%
def buckets(latencies, bounds):
    # solution
    return [sum(each <= bound for each in latencies) for bound in bounds] + [len(latencies)]

# %%
def within(counts, bounds, share):
    # solution
    enough = (bound for bound, count in zip(bounds, counts) if count >= share * counts[-1] > 0)
    return next(enough, None)


# %%
check("ex4.2", buckets, within)
bounds = [0.01, 0.1, 1.0]
one, other = buckets([0.005] * 90 + [0.5] * 10, bounds), buckets([0.05] * 100, bounds)
print("95 of 100 of both:", within([a + b for a, b in zip(one, other)], bounds, 0.95), "s")

# %% [markdown]
# ## Step 3: wake somebody up, once
#
# An alarm that rings at every look is switched off by the second night. Write
# `incidents(values, limit, looks)`: `values` are what was measured at each look, the oldest first.
# Give a list of pairs `(look, "firing")` and `(look, "recovered")`, where `look` is its place from 0:
#
# - it fires when the value is above `limit` at `looks` looks in a row, at the last of these, and
#   then not again until it has recovered;
# - it recovers at the first look that is not above the limit; what never fired cannot recover.
#
# A value of `None` means that nothing was measured: that is not above any limit.

# %%
def incidents(values, limit, looks):
    # solution
    told, high, is_firing = [], 0, False
    for look, value in enumerate(values):
        high = high + 1 if value is not None and value > limit else 0
        if high >= looks and not is_firing:
            told.append((look, "firing"))
            is_firing = True
        elif high == 0 and is_firing:
            told.append((look, "recovered"))
            is_firing = False
    return told


# %%
check("ex4.3", incidents)

# %% [markdown]
# ## Step 4: read what Prometheus reads
#
# Deploy `model` as `service`, with the name "penguins" and `example=X`. Then write
# `by_status(text)`: it takes the text of `/metrics` and gives how many requests ended with each
# status, as a dict such as `{"200": 61, "422": 1}`. The metric is called `nbdeploy_requests_total`;
# it has one sample for each combination of labels. `text_string_to_metric_families(text)` takes the
# text apart: families have a `name` (without `_total`) and `samples`; a sample has a `name`, `labels`
# and a `value`.

# %%
# solution
service = deploy(model, name="penguins", example=X)

# %%
def by_status(text):
    # solution
    found = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "nbdeploy_requests_total":
                found[sample.labels["status"]] += int(sample.value)
    return dict(found)


# %% [markdown]
# Some traffic: good requests, and one caller who forgot most of the columns.

# %%
# solution
for start in range(0, 300, 5):
    service.predict(X[start : start + 5])
try:
    service.predict({"island": "Dream"})
except SignatureError as error:
    print(error)

# %%
check("ex4.4", service, by_status)
text = urllib.request.urlopen(f"{service.url}/metrics").read().decode()
print(by_status(text))

# %% [markdown]
# ## Step 5: has the world moved?
#
# `service.monitor.drift()` compares what was asked lately with `example=`. Its `rows` have a
# `feature`, a `version`, a `psi`, a `p` and more, and `alarm`: the change is sure **and** large
# enough to count. Write `moved(drift)`: the sorted names of the columns that alarm, each once. The
# predictions are a row too (`is_prediction`), and no column: leave them out.

# %%
def moved(drift):
    # solution
    return sorted({row.feature for row in drift.rows if row.alarm and not row.is_prediction})


# %%
check("ex4.5", moved)
service.monitor.reset()
dream = service.predict(X[X["island"] == "Dream"])
print(moved(service.monitor.drift()))

# %% [markdown]
# ## Step 6: the page
#
# Write `page(statistics, predictions)`: HTML with
#
# - the requests (`statistics["requests"]`), the error rate as `5.0%` (`statistics["error_rate"]`), and
#   p95 in whole milliseconds as `210 ms` (`statistics["p95_latency"]`, in seconds); a `-` where it is
#   `None`;
# - for each class in the list `predictions` its name and its share as `75.0%`, the commonest first.
#
# A class may be called anything, even `<script>`: a dashboard is a fine place to attack whoever
# looks at it. `escape` of `html` makes text of it.

# %%
def page(statistics, predictions):
    # solution
    p95 = statistics["p95_latency"]
    shown = "-" if p95 is None else f"{p95 * 1000:.0f} ms"
    lines = [f"<h3>{statistics['requests']} requests, {statistics['error_rate']:.1%} failed</h3>"]
    lines += [f"<p>p95: {shown}</p>"]
    for label, count in Counter(predictions).most_common():
        share = count / len(predictions)
        bar = f'<meter value="{share:.3f}"></meter>'
        lines.append(f"<p>{bar} {escape(str(label))} {share:.1%}</p>")
    return "\n".join(lines)


# %%
check("ex4.6", page)
HTML(page(service.stats(), list(dream)))

# %% [markdown]
# ## Step 7: for the wall, Grafana
#
# Let `service.monitor.export_grafana` write its files into `work/ex4/grafana`, and read
# `grafana_dashboard.json` of it into `dashboard`. Nothing is as sad as a panel without data, because
# somebody renamed a metric. Write `used(dashboard)`: the set of all names of metrics that its panels
# ask for. A panel has `targets`, each with an `expr` such as
# `sum by (status) (rate(nbdeploy_requests_total{model="a"}[5m]))`; all names begin with `nbdeploy_`. A
# panel may also be a row, which has `panels` of its own.

# %%
# solution
service.monitor.export_grafana("work/ex4/grafana")
dashboard = json.loads(Path("work/ex4/grafana/grafana_dashboard.json").read_text())

# %%
def used(dashboard):
    # solution
    names = set()
    for panel in dashboard.get("panels", []):
        for target in panel.get("targets", []):
            names.update(re.findall(r"nbdeploy_\w+", target.get("expr", "")))
        names |= used(panel)
    return names


# %%
check("ex4.7", dashboard, used)
told = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
print("not told yet:", sorted(used(dashboard) - told))

# %% [markdown]
# What is not told yet has no data yet: there are no replicas, no A/B test and no feedback here, and
# this model predicts no numbers.
#
# `service.dashboard()` shows all of this live, and `/dashboard` the same in a browser. Which numbers
# would you put on *your* wall, and which would wake you up?
#
# ## Clean up

# %%
stop_all()
