# %% [markdown]
# # 4 What a service does all day
#
# After this lesson you can
#
# - read latency quantiles, and say what a mean hides,
# - see that the rows of today are not those that the model learned from,
# - watch a service live, and be told when it does badly.

# %% [markdown] lang="zh-TW"
# # 4 服務一整天都在做什麼
#
# 學完這一課，你可以
#
# - 讀懂延遲的分位數，說出平均值藏住了什麼，
# - 看出今天的資料列，已經不是模型當初學的那一種，
# - 即時觀察服務，並在它表現變差時收到通知。

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

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 一個認企鵝的模型。送幾個請求，再看服務怎麼說：

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

# %% [markdown] lang="zh-TW"
# 這張圖是活的：儲存格在跑，它就跟著變。存檔的 notebook 裡看到的，是它最後的樣子。
# 每個數字是什麼意思？服務又是怎麼知道的？
#
# ## 拆開來看
#
# 這是教材裡的類別，保留最近 1,000 個請求。慢慢讀：第一個請求來之前會怎樣？
# 一百萬個請求之後，記憶體裡有什麼？

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

# %% [markdown] lang="zh-TW"
# ## 故意弄壞它
#
# 先是一個啟動五分鐘、還沒人呼叫過的服務。再來一個早上很不順的服務：失敗十次，後面接著一千次成功。

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

# %% [markdown] lang="zh-TW"
# 最近一千個請求全部成功，它卻說有百分之一失敗：錯誤有自己的視窗，舊的錯誤永遠不會離開。
# 而且每一列送來的資料都還留著。
#
# `nbdeploy` 的類別呼叫方式一樣，但全部共用一個視窗：

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

# %% [markdown] lang="zh-TW"
# ## 先猜，再執行
#
# 100 個請求：94 個花 10 ms，六個花一秒。平均是多少？**中位數**（p50）是多少？
# p95 又是多少，也就是 95% 的回應在多久之內回來？先寫下三個數字。

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

# %% [markdown] lang="zh-TW"
# 平均值是沒有任何人真正等過的時間。中位數說一切正常。只有 p95 知道有人等了一秒。
# 連問十次的人，有將近一半的機會碰到一次。
#
# ## 世界變了的時候
#
# 資料列變了，模型不會抱怨：它照樣回答，只是答錯。服務記得 `example=` 的資料是怎麼分布的。
# 現在，只有某一座島的企鵝會來：

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

# %% [markdown] lang="zh-TW"
# `island` 當然變了。那座島上的企鵝不一樣，所以量測值跟著變，預測也跟著變。
# PSI 說明變了多少：超過 0.25 就算很多。p 說明純屬巧合的機率有多大；
# 它經過校正，因為同時看很多欄位的人，總會看到點什麼。
#
# 模型答錯了嗎？光看漂移不會知道。只有真實答案才知道，而且得有人把它帶回來：

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

# %% [markdown] lang="zh-TW"
# ## 收到通知
#
# 沒有人會整夜盯著儀表板。警示會在出狀況時呼叫你的函式一次，恢復時再呼叫一次：

# %%
alert = service.monitor.alert("p95 > 0.2 for 1m", then=print)
alert

# %% [markdown]
# What people have already reads the same numbers: `GET /metrics` speaks Prometheus, and
# `service.monitor.export_grafana("work/grafana")` writes a dashboard for it.

# %% [markdown] lang="zh-TW"
# 大家現有的工具也能讀同樣的數字：`GET /metrics` 用的是 Prometheus 的格式，
# `service.monitor.export_grafana("work/grafana")` 會替它寫好儀表板。

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

# %% [markdown] lang="zh-TW"
# ## 兩個練習
#
# **04.1** 找出 20 個以秒為單位的延遲，放進串列 `latencies`，讓平均低於 0.05，p95 高於 0.2。
# 然後 `check("04.1", latencies)`。
#
# **04.2** 用字串 `when` 寫出一個警示條件：超過 5% 的請求失敗，而且持續至少半分鐘。
# 然後 `check("04.2", when)`。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# latencies = [...]
# check("04.1", latencies)

# when = "..."
# check("04.2", when)

# %% [markdown]
# *One answer is in the folded cell below. `hint("04.1")` and `hint("04.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("04.1")` 和 `hint("04.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **Prometheus** 讀取每一份服務的 `/metrics`；**Grafana** 負責畫圖，它的規則負責把人叫醒。
# - **KServe** 和 **MLServer** 也會提供次數和時間；漂移在那裡是另外一個服務。
# - **BentoML** 和 **Ray Serve** 替同樣的東西取了不同的指標名稱：這一家的儀表板，另一家用不了。
#
# ## 重點整理
#
# 次數和分位數告訴你服務好不好，漂移告訴你世界變了多少；模型好不好，只有真實答案說得出來，而它總是最晚到。
#
# **小測驗**
#
# 1. 錯誤率為什麼要看一個視窗，而不是從頭算起？
# <details><summary>答案</summary>順利了一個月之後，一個早上的失敗在裡面根本看不出來。</details>
#
# 2. 兩個副本的 p95 分別是 10 ms 和 30 ms。合起來的 p95 是 20 ms 嗎？
# <details><summary>答案</summary>不是。分位數不能相加；分桶計數可以，所以監控保留的是計數。</details>
#
# 3. 所有欄位都漂移了，準確率卻和以前一樣。接下來呢？
# <details><summary>答案</summary>先慶幸，過一陣子再看：模型當初測試用的資料，和它現在回答的已經不同了。</details>

# %% [markdown]
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 收拾

# %%
from nbdeploy import stop_all

stop_all()
