# %% [markdown]
# # 9 The whole way
#
# After this lesson you can
#
# - bring a new version to ten percent of your callers, and let a guard decide about the rest,
# - notice that the world has moved, and go back in one line,
# - hand over a folder from which a container is built.
#
# Every word in it you know from the lessons before. Here they become one day at work.

# %% [markdown] lang="zh-TW"
# # 9 從頭到尾走一遍
#
# 學完這一課，你可以
#
# - 先讓百分之十的呼叫者用新版本，其餘的交給護欄決定，
# - 察覺世界變了，並用一行程式退回去，
# - 交出一個可以建置成容器的資料夾。
#
# 裡面的每個詞，前面的課都教過。這一課把它們串成一天的工作。

# %%
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

penguins = load_penguins()
bill = ["bill_length_mm", "bill_depth_mm"]
measures = [*bill, "flipper_length_mm", "body_mass_g"]
X, y = penguins[["island", *measures]], penguins["species"]

# %% [markdown]
# 344 penguins of three islands and three years, some with missing values. Version 1.0 learned from
# the first year, and looks at the bill only. Version 1.1 learned from two years, and looks at
# everything. But the boat to the island Dream did not go: its penguins are missing.

# %% [markdown] lang="zh-TW"
# 344 隻企鵝，三座島、三個年份，有些值有缺漏。1.0 版用第一年的資料訓練，只看嘴喙；
# 1.1 版用兩年的資料訓練，什麼都看。但開往 Dream 島的船停駛，所以缺了那裡的企鵝。

# %%
def fit(rows, columns):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    islands = OneHotEncoder(handle_unknown="ignore")
    prepare = make_column_transformer((numbers, columns), (islands, ["island"]))
    return make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(X[rows], y[rows])

is_dream, is_now = penguins["island"] == "Dream", penguins["year"] == 2009
first_year, two_years = penguins["year"] == 2007, ~is_now & ~is_dream
models = {"1.0": fit(first_year, bill), "1.1": fit(two_years, measures)}

# %% [markdown]
# ## See it first
#
# Save both, with what they learned from (`example=`), and with their accuracy on penguins of today:

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 把兩版都存起來，連同它們學過的資料（`example=`），以及在今日企鵝上的準確率：

# %%
from nbdeploy import ModelVersionControl

versions = ModelVersionControl("work/09/penguins")
test, rows = is_now & ~is_dream, {"1.0": first_year, "1.1": two_years}
for name, model in models.items():
    accuracy = {"accuracy": model.score(X[test], y[test])}
    versions.save_model_version(model, name, accuracy, example=X[rows[name]])
versions.set_alias("production", "1.0")
versions

# %%
from nbdeploy import deploy

service = deploy(versions["production"], name="penguins")

# %% [markdown]
# Version 1.1 made no mistake in the test. Should it replace 1.0 at once?
#
# ## Take it apart
#
# First a few callers: a *canary*, like the birds that miners took along. Who gets it? The chapter's
# `LoadBalancer` chooses by weight. One ship asks eight times about one penguin:

# %% [markdown] lang="zh-TW"
# 1.1 版在測試裡一題都沒錯。該馬上用它換掉 1.0 嗎？
#
# ## 拆開來看
#
# 先給少數幾位呼叫者：這叫**金絲雀**（canary），就像從前礦工帶下坑的那隻鳥。誰會拿到它？
# 教材的 `LoadBalancer` 按權重挑選。同一艘船，對同一隻企鵝問了八次：

# %% tags=["nbval-check-output", "chapter"]
import random
from nbdeploy import Client


class LoadBalancer:
    def weighted_select(self, weights):
        total = sum(weights.values())
        r = random.uniform(0, total)
        upto = 0
        for endpoint, weight in weights.items():
            if upto + weight >= r:
                return endpoint
            upto += weight


random.seed(1)
half = {"1.0": 0.5, "1.1": 0.5}
print("chapter: ", [LoadBalancer().weighted_select(half) for _ in range(8)])
service.split(half)
service.monitor.reset()
with Client(service.url) as client:
    for _ in range(8):
        client.predict(X.loc[0], headers={"X-Routing-Key": "Nella"})
asked = service.stats()["by_version"]
print("nbdeploy:", {version: asked[version]["requests"] for version in asked})
service.rollback()

# %% [markdown]
# The chapter throws dice for each request: one ship gets two versions, and perhaps two names for one
# penguin. `split` keeps a caller, the *routing key*, with one version. (Without a key it throws dice
# too.) The last line brings the traffic of before back.
#
# ## Break it on purpose
#
# A colleague brings a model that he fitted on other columns. It works in his notebook. What happens
# when it goes live?

# %% [markdown] lang="zh-TW"
# 教材的做法是每個請求都擲一次骰子：同一艘船拿到兩個版本，同一隻企鵝也可能有兩個答案。
# `split` 讓同一位呼叫者，也就是同一個**路由鍵**（routing key），固定用同一版。（沒有鍵的話，它也是擲骰子。）最後一行把流量恢復成原來的樣子。
#
# ## 故意弄壞它
#
# 有位同事帶來一個用其他欄位訓練的模型，在他的 notebook 裡一切正常。上線會怎樣？

# %% tags=["raises-exception"]
known = X.dropna()
weight = LogisticRegression().fit(known[["body_mass_g"]], y[known.index])
service.rollout(weight)

# %% [markdown]
# It never goes live. Before a version takes traffic it must answer the rows that the live one answers:
# the *rehearsal*. No caller noticed anything.
#
# ## Ten percent
#
# Fifty ships ask about penguins, and a day later somebody tells the truth about each. This plays both:

# %% [markdown] lang="zh-TW"
# 它根本沒有上線。一個版本要接流量，得先答得出線上那一版回答過的資料列：這就是**預演**。呼叫者完全沒有感覺。
#
# ## 百分之十
#
# 五十艘船來問企鵝，一天之後，有人說出每一隻的真實答案。這個函式扮演兩邊的角色：

# %%
def ships_ask(rows, count=150, seed=0):
    """Say which share of the answers was right."""
    right = 0
    with Client(service.url) as client:
        penguins_seen = X[rows].sample(count, replace=True, random_state=seed).index
        for number, index in enumerate(penguins_seen):
            ship = {"X-Routing-Key": f"ship {number % 50}"}
            answer, prediction_id = client.predict(X.loc[index], with_id=True, headers=ship)
            client.feedback(prediction_id, y[index])
            right += answer == y[index]
    return right / count

# %% [markdown]
# Version 1.1 gets 10 %, then everything. The guard looks at failed requests, and whether the accuracy
# is surely worse, by more than five points; it waits for at least 20 truths.

# %% [markdown] lang="zh-TW"
# 1.1 版先拿 10%，再拿全部。護欄看的是失敗的請求，以及準確率是不是確實變差超過五個百分點；
# 它至少要等到 20 個真實答案。

# %%
from nbdeploy.serving import Guard

guard = Guard(max_error_rate=0.02, metric=0.05, min_requests=20)
rollout = service.rollout("1.1", steps=[0.1, 1], guard=guard, alias="production")
diary = {"10 % have 1.1": ships_ask(is_now & ~is_dream)}
service.compare()

# %%
diary["all have 1.1"] = ships_ask(is_now & ~is_dream, seed=1)
rollout

# %% [markdown]
# Nothing was wrong, so it went on by itself. The alias `production` moved along.
#
# ## Predict, then run
#
# The test was perfect, the canary lived. Now the boat goes to Dream again. An alarm writes to your
# pager, here a list, when a column drifts. Which share of the penguins will be named right? Write
# down a number.

# %% [markdown] lang="zh-TW"
# 沒有異狀，所以它自己往下走了。別名 `production` 也跟著移動。
#
# ## 先猜，再執行
#
# 測試滿分，金絲雀活得好好的。現在船又開往 Dream 了。有欄位漂移時，警示會寫進你的呼叫器，在這裡用一個串列代替。
# 會有多少比例的企鵝被認對？先寫下一個數字。

# %%
pager = []
alert = service.monitor.alert("drift > 0", then=pager.append)
diary["Dream, 1.1"] = ships_ask(is_dream & is_now)
print(f"named right: {diary['Dream, 1.1']:.0%}")
print(alert.wait())
service.monitor.drift()

# %% [markdown]
# About every second penguin gets a wrong name, and *nothing failed*: no error, no slow answer. 1.1
# never saw the Chinstrap penguins, which live on Dream only. The drift says so before anybody
# tells a truth: `island` has values that the model does not know.
#
# The guard was not wrong. A canary tells how a version does for those who ask *today*.
#
# Back, now. Think later:

# %% [markdown] lang="zh-TW"
# 大約每兩隻就認錯一隻，而且**什麼都沒失敗**：沒有錯誤，也沒有變慢。
# 1.1 版從沒見過只住在 Dream 的 Chinstrap 企鵝。在任何人說出真實答案之前，漂移就說了：`island` 出現模型不認得的值。
#
# 護欄沒有錯。金絲雀說的是：對**今天**來問的人，這一版表現如何。
#
# 先退回去，再來想：

# %%
import pandas as pd

service.rollback()
print("production is", versions["production"].version)
diary["Dream, 1.0"] = ships_ask(is_dream & is_now)
pd.Series(diary)[::-1].plot.barh(figsize=(6, 2), title="share named right");

# %% [markdown]
# One line moved the traffic and the alias. Version 1.0 has the worse test, and was at Dream.
#
# ## Two tasks
#
# **09.1** Make version "2.0", which is good on every island: at least 95 % of the penguins of 2009.
# Fit it on the rows before 2009, save it with an accuracy and with `example=`, and roll it out with
# the alias "production". Then `check("09.1", versions, service)`.
#
# **09.2** Hand it over: write what answers now as a bundle to `work/09/bundle`, and rehearse it with
# `check(quick=True)`. Then `check("09.2", bundle, report)`.

# %% [markdown] lang="zh-TW"
# 一行就同時移動了流量和別名。1.0 版的測試成績比較差，但它去過 Dream。
#
# ## 兩個練習
#
# **09.1** 做出在每座島上都表現良好的版本 "2.0"：2009 年的企鵝至少認對 95%。
# 用 2009 年之前的資料列訓練，連同準確率和 `example=` 存起來，再帶著別名 "production" 推出。
# 然後 `check("09.1", versions, service)`。
#
# **09.2** 交付成果：把現在負責回答的版本寫成部署包，放在 `work/09/bundle`，再用 `check(quick=True)` 預演。
# 然後 `check("09.2", bundle, report)`。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# check("09.1", versions, service)

# bundle = ...
# report = ...
# check("09.2", bundle, report)

# %% [markdown]
# *One answer is in the folded cell below. `hint("09.1")` and `hint("09.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("09.1")` 和 `hint("09.2")` 可以幫忙。

# %% jupyter={"source_hidden": true}
best = fit(~is_now, measures)
accuracy = {"accuracy": best.score(X[is_now], y[is_now])}
versions.save_model_version(best, "2.0", accuracy, "all islands", example=X[~is_now])
service.rollout("2.0", alias="production")
check("09.1", versions, service)

bundle = service.bundle("work/09/bundle")
report = bundle.check(quick=True)
check("09.2", bundle, report)

# %% [markdown]
# ## In production
#
# - **KServe** and **Argo Rollouts** do canaries on Kubernetes: a share, a wait, a metric, and back.
# - **MLflow** keeps the versions and aliases; **BentoML** writes the folder for the container.
# - Who calls at night is another program, such as Alertmanager. It reads `/metrics`.
#
# ## Summary
#
# A test says how a model did on the rows of yesterday. A canary limits who is hurt today, drift says
# that today is not yesterday, and a rollback takes a second. None of them replaces the others.
#
# **Quiz**
#
# 1. Why did the guard let version 1.1 pass?
# <details><summary>Answer</summary>No ship asked about Dream while it looked. It compared on the
# rows that came.</details>
#
# 2. Drift fires, and the accuracy is not known yet. Roll back?
# <details><summary>Answer</summary>Look what moved. Values that the model never saw are a reason;
# a little more of one island is none, when the version before is not better there.</details>
#
# 3. Why does the rollback move the alias too?
# <details><summary>Answer</summary>Otherwise the next <code>deploy(versions["production"])</code>,
# perhaps after a restart at night, brings the bad version back.</details>
#
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **KServe** 和 **Argo Rollouts** 在 Kubernetes 上做金絲雀發布：一個比例、一段等待、一個指標，然後退回或前進。
# - **MLflow** 保管版本和別名；**BentoML** 寫出容器用的資料夾。
# - 半夜打電話的是另一個程式，例如 Alertmanager。它讀的是 `/metrics`。
#
# ## 重點整理
#
# 測試說的是模型在昨天的資料上表現如何。金絲雀限制今天會傷到誰，漂移說今天已經不是昨天，而回滾只要一秒。
# 四者缺一不可。
#
# **小測驗**
#
# 1. 護欄為什麼放 1.1 版過關？
# <details><summary>答案</summary>它在看的時候，沒有船問起 Dream。它只能用來過的資料列比較。</details>
#
# 2. 漂移警報響了，準確率還不知道。要退回去嗎？
# <details><summary>答案</summary>先看是什麼變了。模型從沒見過的值就是理由；某座島只是多了一點則不是，
# 如果前一版在那裡也沒有比較好的話。</details>
#
# 3. 為什麼回滾也要移動別名？
# <details><summary>答案</summary>不然下一次 <code>deploy(versions["production"])</code>，也許是半夜重新啟動之後，
# 又會把壞的版本帶回來。</details>
#
# ## 收拾

# %%
from nbdeploy import stop_all

stop_all()
