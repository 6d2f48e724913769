# %% [markdown]
# # 4 What a service does all day
#
# After this lesson you can
#
# - read latency quantiles, and say what a mean hides,
# - see that the rows of today are not those that the model learned from,
# - watch a service live, and be told when it does badly.

# %%
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

penguins = load_penguins()
X, y = penguins.drop(columns="species"), penguins["species"]
measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
columns = make_column_transformer((OneHotEncoder(), ["island"]), ("passthrough", measures))
model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20)).fit(X, y)

# %% [markdown]
# ## See it first
#
# A model that names penguins. Some requests, and what the service says about them:

# %%
import time
from nbdeploy import deploy

service = deploy(model, name="penguins", example=X)
for number in range(80):
    service.predict(X.sample(1 + 5 * (number // 10)))
    time.sleep(0.1)
service.dashboard()

# %% [markdown]
# The picture lives: it changes while cells run, and what you see in a saved notebook is its last
# state. What does each number mean, and how does the service know?
#
# ## Take it apart
#
# This is the class of the chapter. It keeps the last 1,000 requests. Read it slowly: what happens
# before the first request? What is in memory after a million?

# %% tags=["chapter"]
from collections import deque
from datetime import datetime
import numpy as np


class ModelMonitor:
    def __init__(self, window_size=1000):
        self.predictions = deque(maxlen=window_size)
        self.latencies = deque(maxlen=window_size)
        self.errors = deque(maxlen=window_size)

    def log_prediction(self, input_data, prediction, latency, error=None):
        timestamp = datetime.now()
        self.predictions.append({"timestamp": timestamp, "input": input_data,
                                 "prediction": prediction, "latency": latency})
        self.latencies.append(latency)
        if error:
            self.errors.append({"timestamp": timestamp, "error": error, "input": input_data})

    def get_statistics(self):
        return {
            "avg_latency": np.mean(self.latencies),
            "max_latency": np.max(self.latencies),
            "error_rate": len(self.errors) / len(self.predictions),
            "total_predictions": len(self.predictions),
        }


# %% [markdown]
# ## Break it on purpose
#
# A service that is five minutes old and was never asked. Then one that had a bad morning: ten
# failures, and after them a thousand good answers.

# %% tags=["nbval-check-output"]
import warnings

chapter = ModelMonitor(window_size=1000)
with warnings.catch_warnings(action="ignore"):
    try:
        print(chapter.get_statistics())
    except (ValueError, ZeroDivisionError) as error:
        print("before the first request:", type(error).__name__)
for number in range(1010):
    chapter.log_prediction([1], 0, latency=0.01, error="broken" if number < 10 else None)
print("error rate:", chapter.get_statistics()["error_rate"])

# %% [markdown]
# The last thousand requests are all good, and yet one in a hundred is said to fail: errors have a
# window of their own, so old ones never leave it. And every row that was ever sent is kept.
#
# `nbdeploy`'s class has the same calls. One window holds everything:

# %% tags=["nbval-check-output"]
from nbdeploy import ModelMonitor as BetterMonitor

monitor = BetterMonitor(window_size=1000)
print("before the first request:", monitor.get_statistics()["error_rate"])
for number in range(1010):
    monitor.log_prediction([1], 0, latency=0.01, error="broken" if number < 10 else None)
statistics = monitor.get_statistics()
print("error rate now:", statistics["error_rate"], "- errors since the start:", statistics["errors"])

# %% [markdown]
# ## Predict, then run
#
# 100 requests: 94 take 10 ms, six take a second. What is the mean? What is the *median*, p50? And
# p95, the time within which 95 of 100 answers came? Write down three numbers first.

# %% tags=["nbval-check-output"]
monitor = BetterMonitor()
for number in range(100):
    monitor.log_prediction([1], 0, latency=1.0 if number < 6 else 0.01)
statistics = monitor.get_statistics()
for name in ("avg_latency", "p50_latency", "p95_latency"):
    print(f"{name}: {statistics[name] * 1000:.0f} ms")

# %% [markdown]
# The mean is a time that no caller ever waited. The median says that all is well. Only p95 knows
# those who waited a second. Whoever asks ten times meets one of them half of the time.
#
# ## When the world moves
#
# A model does not complain when its rows change: it answers, and is wrong. The service remembers how
# the rows of `example=` were distributed. Now only the penguins of one island come:

# %%
service.monitor.reset()
service.predict(X[X["island"] == "Dream"])
service.monitor.drift()

# %% [markdown]
# `island` moved, of course. The birds of that island are others, so measures moved with it, and the
# predictions too. *PSI* says how far: above 0.25 is much. *p* says how likely chance alone would do
# that; it is corrected, because whoever looks at many columns finds something.
#
# Was the model wrong? Drift cannot know. Only the truth can, when somebody brings it:

# %%
from nbdeploy import Client

with Client(service.url) as client:
    for index in X.sample(60, random_state=1).index:
        _, prediction_id = client.predict(X.loc[[index]], with_id=True)
        client.feedback(prediction_id, y[index])
quality = service.stats()["quality"]
{version: round(told["accuracy"], 2) for version, told in quality.items()}

# %% [markdown]
# ## Be told
#
# Nobody looks at a dashboard all night. An alert calls your function once when something goes wrong,
# and once when it has recovered:

# %%
alert = service.monitor.alert("p95 > 0.2 for 1m", then=print)
alert

# %% [markdown]
# What people have already reads the same numbers: `GET /metrics` speaks Prometheus, and
# `service.monitor.export_grafana("work/grafana")` writes a dashboard for it.

# %% tags=["nbval-check-output"]
import urllib.request

with urllib.request.urlopen(f"{service.url}/metrics") as answer:
    lines = answer.read().decode().splitlines()
print(sorted({line.split()[2] for line in lines if line.startswith("# TYPE")})[:4])

# %% [markdown]
# ## Two tasks
#
# **04.1** Find 20 latencies in seconds, in a list `latencies`, whose mean is below 0.05 and whose p95
# is above 0.2. Then `check("04.1", latencies)`.
#
# **04.2** Write the condition of an alert as a text `when`: more than 5 % of the requests fail, for at
# least half a minute. Then `check("04.2", when)`.

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# latencies = [...]
# check("04.1", latencies)

# when = "..."
# check("04.2", when)

# %% [markdown]
# *One answer is in the folded cell below. `hint("04.1")` and `hint("04.2")` help before.*

# %% jupyter={"source_hidden": true}
check("04.1", [0.01] * 18 + [0.3] * 2)
check("04.2", "error_rate > 0.05 for 30s")

# %% [markdown]
# ## In production
#
# - **Prometheus** reads `/metrics` of each copy; **Grafana** draws, and its rules wake people up.
# - **KServe** and **MLServer** tell counts and durations too; drift is a service of its own there.
# - **BentoML** and **Ray Serve** name other metrics for the same: a dashboard of one fits no other.
#
# ## Summary
#
# Counts and quantiles tell how the service is. Drift tells how the world is. Only the truth tells how
# the model is, and it comes last.
#
# **Quiz**
#
# 1. Why is the error rate over a window, and not since the start?
# <details><summary>Answer</summary>After a month of good days a morning of failures would not show
# in it.</details>
#
# 2. Two replicas have p95 of 10 ms and 30 ms. Is p95 of both 20 ms?
# <details><summary>Answer</summary>No. Quantiles do not add up; counts in buckets do, and that is why
# monitors keep those.</details>
#
# 3. All columns drifted, and the accuracy is as before. What now?
# <details><summary>Answer</summary>Be glad, and look again soon: the model was tested on other rows
# than those it answers now.</details>

# %% [markdown]
# ## Clean up

# %%
from nbdeploy import stop_all

stop_all()
