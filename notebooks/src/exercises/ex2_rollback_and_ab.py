# %% [markdown]
# # Exercise 2: versions, rollback and an A/B test
#
# *45 to 60 minutes, seven steps. You need lessons 1 to 3.*
#
# A station in Antarctica names penguins with your model. You have a better one. Is it really
# better? How do you bring it to the station without a single lost request, and how do you come
# back when it goes wrong?
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex2.1")` gives a first nudge; ask again for more.

# %% [markdown] lang="zh-TW"
# # 練習 2：版本、回滾與 A/B 測試
#
# 45 到 60 分鐘，七個步驟。需要先學過第 1 到第 3 課。
#
# 南極的觀測站用你的模型認企鵝。現在你有一個更好的，但真的比較好嗎？
# 怎麼把它送到觀測站，連一個請求都不掉？出問題時又怎麼退回來？
#
# 每個步驟裡，把 `...` 換成你的程式碼，執行儲存格，再執行下面的檢查。卡住了？
# `hint("ex2.1")` 先給一點提示，再呼叫一次會說得更多。

# %%
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, ModelVersionControl, ServingError, deploy, stop_all
from nbdeploy.monitoring import sample_size
from nbdeploy.serving import Guard
from nbdeploy.teach import check, hint

penguins = load_penguins()
X, y = penguins.drop(columns="species"), penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)

# %% [markdown]
# Two models. The old one looks at the weight only, the new one at all measures and the island.

# %% [markdown] lang="zh-TW"
# 兩個模型。舊的只看體重，新的看所有量測值和島嶼。

# %%
weight = make_column_transformer((SimpleImputer(), ["body_mass_g"]))
old = make_pipeline(weight, DecisionTreeClassifier(max_depth=2, random_state=0))
old.fit(X_train, y_train)

measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
numbers = make_pipeline(SimpleImputer(), StandardScaler())
columns = make_column_transformer((numbers, measures), (OneHotEncoder(), ["island"]))
new = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X_train, y_train)

# %% [markdown]
# ## Step 1: keep both
#
# Make a `ModelVersionControl` in the folder `work/ex2/penguins`. Save `old` as version "1.0" and
# `new` as version "1.1", each with its accuracy on the test data as the metric `accuracy`, and with
# `example=X_train`. Then point the alias "production" to "1.0".

# %% [markdown] lang="zh-TW"
# ## 步驟 1：兩個都留著
#
# 在資料夾 `work/ex2/penguins` 建立一個 `ModelVersionControl`。把 `old` 存成版本 "1.0"、`new` 存成版本 "1.1"，
# 各自帶上在測試資料的準確率，指標名稱 `accuracy`，並加上 `example=X_train`。
# 最後讓別名 "production" 指向 "1.0"。

# %%
# solution
versions = ModelVersionControl("work/ex2/penguins")
for model, name in ((old, "1.0"), (new, "1.1")):
    accuracy = model.score(X_test, y_test)
    versions.save_model_version(model, name, {"accuracy": accuracy}, example=X_train)
versions.set_alias("production", "1.0")

# %%
check("ex2.1", versions)
versions

# %% [markdown]
# ## Step 2: the way back
#
# On Friday somebody points "production" to "1.1". On Saturday the station calls: go back! Do both,
# and tell the history why (`why=...`). Do not simply set the alias again: an alias knows its way
# back.

# %% [markdown] lang="zh-TW"
# ## 步驟 2：回頭路
#
# 星期五有人讓 "production" 指向 "1.1"。星期六觀測站打電話來：退回去！
# 請把兩件事都做一遍，並在歷史裡寫下原因（`why=...`）。不要只是把別名重設一次：別名自己認得回去的路。

# %%
# solution
versions.set_alias("production", "1.1", why="better on the test data")
versions.rollback("production", why="the station called")
versions.history("production")

# %%
check("ex2.2", versions)

# %% [markdown]
# ## Step 3: live, without a lost request
#
# Deploy the version behind "production" as `service`, under the name "penguins". Roll out version
# "1.1" and predict a penguin of `X_test` with it. Then bring the traffic of before back.

# %% [markdown] lang="zh-TW"
# ## 步驟 3：上線，一個請求都不掉
#
# 把 "production" 指向的版本部署成 `service`，名稱用 "penguins"。推出版本 "1.1"，
# 用它預測 `X_test` 裡的一隻企鵝，然後把流量恢復成原來的樣子。

# %%
# solution
service = deploy(versions["production"], name="penguins")
service.rollout("1.1")
print(service.predict(X_test.head(1)).tolist())
service.rollback()

# %%
check("ex2.3", service)

# %% [markdown]
# ## Step 4: who gets which version?
#
# In an A/B test one caller must always get the same version. Write the function that chooses:
#
# - `choose("station 7", {"1.0": 0.9, "1.1": 0.1})` gives "1.0" or "1.1";
# - of very many keys, the share of each version is its weight;
# - the same key gives the same version, in every process and for ever. Careful: Python's own
#   `hash()` of a text is another one in every process!
# - when the weight of the last version grows, its keys stay with it.

# %% [markdown] lang="zh-TW"
# ## 步驟 4：誰拿到哪一版？
#
# 在 A/B 測試裡，同一個呼叫者必須永遠拿到同一版。請寫出負責挑選的函式：
#
# - `choose("station 7", {"1.0": 0.9, "1.1": 0.1})` 給出 "1.0" 或 "1.1"；
# - 鍵值夠多的時候，每一版分到的比例就是它的權重；
# - 同一個鍵值，在每個行程裡、永遠都給同一版。小心：Python 自己的 `hash()` 遇到字串，每個行程算出來都不一樣！
# - 最後一版的權重變大時，原本屬於它的鍵值仍然屬於它。

# %%
import hashlib


def choose(key, weights):
    # solution
    digest = hashlib.sha256(key.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for version, weight in weights.items():
        if place < weight:
            return version
        place -= weight
    return version


# %%
check("ex2.4", choose)

# %% [markdown]
# ## Step 5: how long must the test run?
#
# Before you start: the old model names 75 % of the penguins right. You want to see a difference of
# 15 points, with a power of 90 %. How many penguins does each version need? `sample_size` knows.

# %% [markdown] lang="zh-TW"
# ## 步驟 5：測試要跑多久？
#
# 開始之前先想：舊模型認對 75% 的企鵝。你想看出 15 個百分點的差距，檢定力 90%。
# 每一版需要幾隻企鵝？`sample_size` 知道。

# %%
# solution
needed = sample_size(0.75, 0.15, power=0.90)

# %%
check("ex2.5", needed)
needed

# %% [markdown]
# ## Step 6: the A/B test
#
# The stations ask below, each with its name in the header `X-Station`. A day later somebody looks at
# each penguin again and sends the truth. This function plays both:

# %% [markdown] lang="zh-TW"
# ## 步驟 6：A/B 測試
#
# 下面由各觀測站提問，各自在標頭 `X-Station` 寫上名字。一天之後，有人再看一次每隻企鵝，送回真實答案。
# 這個函式扮演兩邊的角色：

# %%
def stations_ask(service, count, **changed):
    """Let penguins come by 40 stations; predict each, and tell the truth about it later."""
    failed = 0
    with Client(service.url) as client:
        for number, index in enumerate(X_test.sample(count, replace=True, random_state=0).index):
            penguin = X_test.loc[[index]].assign(**changed)
            station = {"X-Station": f"station {number * 7 % 40}"}
            try:
                _, prediction_id = client.predict(penguin, with_id=True, headers=station)
                client.feedback(prediction_id, y[index])
            except ServingError:
                failed += 1
    return failed


# %% [markdown]
# Give each version half of the traffic, so that a station always gets the same version. Let the
# stations ask until each version has the truth about `needed` penguins: `stations_ask(service, 100)`
# lets 100 come by. Then read `service.compare()` and write down who wins: `winner = "1.0"` or "1.1".

# %% [markdown] lang="zh-TW"
# 讓兩版各分一半的流量，並且每個觀測站永遠拿到同一版。讓觀測站一直問，
# 問到兩版都有 `needed` 隻企鵝的真實答案：`stations_ask(service, 100)` 會有 100 隻經過。
# 接著讀 `service.compare()`，寫下誰贏：`winner = "1.0"` 或 "1.1"。

# %%
# solution
service.split({"1.0": 0.5, "1.1": 0.5}, key="X-Station")
stations_ask(service, 400)
winner = "1.1"
service.compare()

# %%
check("ex2.6", service, winner)

# %% [markdown]
# `compare()` shows two intervals. The narrower one holds for who looks *once*, after the number of
# penguins that was chosen before. The wider one holds whenever you look, however often. Which one
# may you read every morning?

# %% [markdown] lang="zh-TW"
# `compare()` 顯示兩個區間。窄的那個，只有在事先決定好企鵝數量、而且只看**一次**的時候才成立；
# 寬的那個不管你何時看、看幾次都成立。每天早上都要看的話，該讀哪一個？

# %% [markdown]
# ## Step 7: step by step, under guard
#
# The winner takes everything. Then a colleague brings version 1.2, with an accuracy as good:

# %% [markdown] lang="zh-TW"
# ## 步驟 7：一步一步來，旁邊有護欄
#
# 贏家接手全部流量。然後有位同事帶來 1.2 版，準確率一樣好：

# %%
seasons = (OneHotEncoder(), ["island", "year"])
columns = make_column_transformer((numbers, measures), seasons)
newest = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X_train, y_train)
accuracy = newest.score(X_test, y_test)
print(f"accuracy of 1.2: {accuracy:.1%}")
if ... not in (versions, service):  # steps 1 and 3 made them
    service.rollout("1.1", alias="production")
    versions.save_model_version(newest, "1.2", {"accuracy": accuracy}, example=X_train)

# %% [markdown]
# It passes every test, and yet something is wrong with it: the data end in 2009, and the stations
# ask in 2010. Roll out "1.2" in the steps 20 %, 50 % and 100 %, with a guard that sends it back when
# more than 5 % of at least 20 requests fail. Keep what `rollout` gives you as `rollout`. Then let
# the stations ask about 150 penguins of 2010: `stations_ask(service, 150, year=2010)`.

# %% [markdown] lang="zh-TW"
# 它通過所有測試，卻有個地方不對勁：資料到 2009 年為止，觀測站卻在 2010 年提問。
# 請把 "1.2" 分成 20%、50%、100% 三步推出，並設一道護欄（guard）：至少 20 個請求中失敗超過 5%，就把它退回去。
# 把 `rollout` 給你的東西存成 `rollout`。接著讓觀測站問 2010 年的 150 隻企鵝：
# `stations_ask(service, 150, year=2010)`。

# %%
# solution
guard = Guard(max_error_rate=0.05, min_requests=20)
rollout = service.rollout("1.2", steps=[0.2, 0.5, 1], guard=guard)
failed = stations_ask(service, 150, year=2010)
print(failed, "of 150 requests failed")
rollout

# %%
check("ex2.7", service, rollout)

# %% [markdown]
# A few requests failed, and nobody had to be woken up. What would have happened without steps? And
# what should the model have said to a year that it does not know?
#
# ## Clean up

# %% [markdown] lang="zh-TW"
# 只有少數請求失敗，也沒有人半夜被叫醒。如果不分步驟會怎樣？
# 模型碰到不認得的年份，又該怎麼回答才對？
#
# ## 收拾

# %%
stop_all()
