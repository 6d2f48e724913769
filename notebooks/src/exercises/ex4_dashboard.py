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

# %% [markdown] lang="zh-TW"
# # 練習 4：說實話的儀表板
#
# 45 到 60 分鐘，七個步驟。需要先學過第 3 課和第 4 課。
#
# 模型認企鵝，觀測站想在牆上掛一個螢幕：有多快、哪些失敗、回答了什麼、有沒有哪裡不對勁？
# 你要自己做出這種儀表板的零件，每個都小到可以在腦中測試；把它們放上一個頁面，其餘的交給 Prometheus 和 Grafana。
#
# 每個步驟裡，把 `...` 換成你的程式碼，執行儲存格，再執行下面的檢查。卡住了？
# `hint("ex4.1")` 先給一點提示，再呼叫一次會說得更多。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 1：數字磚
#
# 一個請求就是一對 `(seconds, failed)`。請寫 `tiles(requests)`，回傳一個 dict，裡面有 `requests`（有幾個）、
# `error_rate`（0 到 1 的比例）、`p50` 和 `p95`（秒）。失敗的請求也花了時間，四個數字都要算進去。
# 第一個請求來之前，錯誤率是 0，p50 和 p95 是 `None`：還沒有人等過。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 2：加得起來的數字
#
# 一個服務的兩份副本各有一個 p95，但沒有人能從這兩個數字算出合起來的 p95。
# 所以 Prometheus 收集的是次數：給定幾個 `bounds`，各有多少延遲**不超過**它。各副本的次數可以相加。
#
# 請寫 `buckets(latencies, bounds)`：每個界限的次數，最後再加上總數。
# 再寫 `within(counts, bounds, share)`：最小的界限，讓至少這個比例的請求不超過它；
# 沒有這樣的界限，或根本沒有請求，就是 `None`。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 3：把人叫醒，一次就好
#
# 每次查看都響的警報，第二個晚上就會被關掉。請寫 `incidents(values, limit, looks)`：
# `values` 是每次查看量到的值，最舊的在前。回傳一個串列，裡面是 `(look, "firing")` 和 `(look, "recovered")`，
# 其中 `look` 是從 0 算起的位置：
#
# - 連續 `looks` 次查看都高於 `limit`，就在最後那一次發出警報，恢復之前不再重複；
# - 第一次不高於上限的查看，就算恢復；沒有響過的，也無所謂恢復。
#
# 值是 `None` 表示沒量到：那不算高於任何上限。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 4：讀 Prometheus 讀的東西
#
# 把 `model` 部署成 `service`，名稱用 "penguins"，加上 `example=X`。接著寫 `by_status(text)`：輸入 `/metrics` 的文字，
# 輸出每種狀態碼各有幾個請求，像 `{"200": 61, "422": 1}` 這樣的 dict。
# 這個指標叫做 `nbdeploy_requests_total`，每一種標籤組合有一個樣本。
# `text_string_to_metric_families(text)` 會把文字拆開：每個 family 有 `name`（不含 `_total`）和 `samples`；
# 每個樣本有 `name`、`labels` 和 `value`。

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

# %% [markdown] lang="zh-TW"
# 來一點流量：正常的請求，還有一位忘了填大部分欄位的呼叫者。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 5：世界變了嗎？
#
# `service.monitor.drift()` 會拿最近的請求和 `example=` 比較。它的 `rows` 各有 `feature`、`version`、`psi`、`p` 等等，
# 還有 `alarm`：這個變化既確定，**而且**大到值得注意。請寫 `moved(drift)`：發出警報的欄位名稱，排序過，每個只出現一次。
# 預測結果也是其中一列（`is_prediction`），但不是欄位，請略過。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 6：頁面
#
# 請寫 `page(statistics, predictions)`，輸出 HTML，裡面有
#
# - 請求數（`statistics["requests"]`）、寫成 `5.0%` 的錯誤率（`statistics["error_rate"]`），
#   以及取整數毫秒、寫成 `210 ms` 的 p95（`statistics["p95_latency"]`，單位是秒）；如果是 `None` 就寫 `-`；
# - 串列 `predictions` 裡的每個類別：名稱，以及寫成 `75.0%` 的比例，最常見的在前。
#
# 類別可能叫任何名字，連 `<script>` 都有可能：儀表板正是攻擊觀看者的好地方。`html` 的 `escape` 會把它變成單純的文字。

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

# %% [markdown] lang="zh-TW"
# ## 步驟 7：掛上牆的 Grafana
#
# 讓 `service.monitor.export_grafana` 把檔案寫進 `work/ex4/grafana`，再把其中的 `grafana_dashboard.json` 讀成 `dashboard`。
# 沒有什麼比「指標改了名，面板沒資料」更淒涼的了。請寫 `used(dashboard)`：它的面板用到的所有指標名稱，回傳一個 set。
# 面板有 `targets`，每個裡面有 `expr`，像
# `sum by (status) (rate(nbdeploy_requests_total{model="a"}[5m]))`；所有名稱都以 `nbdeploy_` 開頭。
# 面板也可能是一整列，裡面還有自己的 `panels`。

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

# %% [markdown] lang="zh-TW"
# 還沒出現的指標，就是還沒有資料：等到有副本了，才會開始計算副本。
#
# `service.dashboard()` 會即時顯示這一切，在瀏覽器裡則是 `/dashboard`。哪些數字你會掛上**自己的**牆？哪些會讓你半夜爬起來？
#
# ## 收拾

# %%
stop_all()
