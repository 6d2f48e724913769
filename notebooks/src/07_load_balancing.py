# %% [markdown]
# # 7 Several services behind one name
#
# After this lesson you can
#
# - spread requests over several services: in turns, by chance, by weight, by load,
# - say what a dead, a failing and a slow service do to the callers of the others,
# - decide which request may safely be sent a second time.

# %% [markdown] lang="zh-TW"
# # 7 多個服務，一個門面
#
# 學完這一課，你可以
#
# - 把請求分給多個服務：輪流、隨機、按權重、按負載，
# - 說明某個服務死掉、一直出錯或變慢時，其他服務的呼叫者會受到什麼影響，
# - 判斷哪些請求可以放心重送。

# %%
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = RandomForestClassifier(n_estimators=30, random_state=0).fit(X_train, y_train)

# %% [markdown]
# ## See it first
#
# The same model, three times. One client for all of them:

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 同一個模型開三份，用一個用戶端呼叫全部：

# %%
from nbdeploy import Client, deploy

services = [deploy(model, name=f"wine-{letter}", example=X_train) for letter in "abc"]
urls = [service.url for service in services]
client = Client(urls, strategy="round_robin")
for _ in range(6):
    client.predict(X_test.head(3))
client.balancer

# %% [markdown]
# Two requests for each. `client.balancer` counts them, and knows who is *up*.
#
# ## Take it apart
#
# This is the chapter's class. It has three ways to choose. Which of them needs to remember
# something? What happens when two threads call it at once?

# %% [markdown] lang="zh-TW"
# 每個服務兩個請求。`client.balancer` 會記數，也知道誰還在線上（up）。
#
# ## 拆開來看
#
# 這是教材裡的類別，有三種挑法。哪一種需要記住東西？兩個執行緒同時呼叫會怎樣？

# %% tags=["chapter"]
import random


class LoadBalancer:
    def __init__(self, endpoints: list[str]):
        self.endpoints = endpoints
        self.current = 0

    def round_robin(self) -> str:
        endpoint = self.endpoints[self.current]
        self.current = (self.current + 1) % len(self.endpoints)
        return endpoint

    def random_select(self) -> str:
        return random.choice(self.endpoints)

    def weighted_select(self, weights: dict[str, float]) -> str:
        total = sum(weights.values())
        r = random.uniform(0, total)
        upto = 0
        for endpoint, weight in weights.items():
            if upto + weight >= r:
                return endpoint
            upto += weight
        return self.endpoints[-1]


# %% [markdown]
# Now `nbdeploy`'s class: the same name, the same calls. `smooth_weighted` is new: it is exact in
# every cycle, and spreads the heavy one evenly.

# %% [markdown] lang="zh-TW"
# 再來是 `nbdeploy` 的類別：同樣的名字，同樣的呼叫。`smooth_weighted` 是新的：
# 每一輪都分毫不差，權重大的也會平均散開。

# %% tags=["nbval-check-output"]
from nbdeploy import LoadBalancer as BetterBalancer

weights = {"a": 5, "b": 3, "c": 1}
better = BetterBalancer(["a", "b", "c"])
print("in turns: ", "".join(better.round_robin() for _ in range(9)))
print("by weight:", "".join(better.smooth_weighted(weights) for _ in range(9)))

# %% [markdown]
# By chance, the weights come out only roughly. How far off are 90 picks?

# %% [markdown] lang="zh-TW"
# 隨機挑的話，比例只能大致符合權重。挑 90 次會差多少？

# %%
from collections import Counter

print("by chance:", Counter(better.weighted_select(weights) for _ in range(90)))
print("smooth:   ", Counter(better.smooth_weighted(weights) for _ in range(90)))

# %% [markdown]
# ## Break it on purpose
#
# A typing error in the weights: the second name does not exist. What does the chapter's class
# answer, and what does the other?

# %% [markdown] lang="zh-TW"
# ## 故意弄壞它
#
# 權重裡打錯字：第二個名稱並不存在。教材的類別會怎麼回答？另一個呢？

# %% tags=["nbval-check-output"]
from nbdeploy import ScalingError

wrong = {"a": 0, "bb": 1}
print("chapter: ", Counter(LoadBalancer(["a", "b"]).weighted_select(wrong) for _ in range(9)))
try:
    BetterBalancer(["a", "b"]).weighted_select(wrong)
except ScalingError as error:
    print("nbdeploy:", error)

# %% [markdown]
# The chapter's class sends everything to a place that does not exist.
#
# Next, one of the three services stops. The chapter's class does not know it. How many of 30
# callers see an error?

# %% [markdown] lang="zh-TW"
# 教材的類別把所有請求都送到一個不存在的地方。
#
# 接著，三個服務停掉一個，而教材的類別並不知道。30 位呼叫者裡有幾位會看到錯誤？

# %%
from nbdeploy.exceptions import UnreachableError

services[1].stop()
chapter, lost = LoadBalancer(urls), 0
for _ in range(30):
    try:
        Client(chapter.round_robin()).predict(X_test.head(1))
    except UnreachableError:
        lost += 1
print("lost with the chapter's class:", lost, "of 30")

# %% [markdown]
# Every third. Our client asks another one instead, and after five failures in a row it leaves the
# dead one out:

# %% [markdown] lang="zh-TW"
# 每三個就有一個。我們的用戶端會改問另一個服務；連續失敗五次之後，就不再把請求分給死掉的那個：

# %%
import time
from IPython.display import display

answers, picture = [], display(client.balancer, display_id=True)
for _ in range(30):
    answers.append(client.predict(X_test.head(1)))
    picture.update(client.balancer)
    time.sleep(0.1)
print("answered by the client of three:", len(answers), "of 30")

# %% [markdown]
# Behind one URL it is the same. One service, two replicas: processes that answer for it. After the
# tenth request we kill one, as a machine that runs out of memory would. Watch its row.

# %% [markdown] lang="zh-TW"
# 同一個 URL 背後也一樣。一個服務，兩個副本：替它回答的行程。
# 第十個請求之後，我們殺掉其中一個，就像記憶體用盡的機器會做的那樣。看看它那一列。

# %%
import os
import signal
import pandas as pd

copies = deploy(model, name="copies", example=X_train)
copies.scale(2)

# %%
kept, picture = [], display("", display_id=True)
for turn in range(30):
    each = copies.stats()["replicas"]["each"]
    picture.update(pd.DataFrame(each).drop(columns="pid"))
    if turn == 10:
        os.kill(each[0]["pid"], signal.SIGKILL)
    kept.append(copies.predict(X_test.head(1)))
    time.sleep(0.1)
print("answered while a replica was killed:", len(kept), "of 30")

# %% [markdown]
# A new one took its place, and its request was answered by the other.
#
# Is a second try always safe? No. Nobody was reached, or the answer was *503*, "I am busy": nothing
# was done yet, so ask another one. But a *422* comes back from every service; and if all services
# are ill, second tries make it worse. So there is a budget: one more for five requests.
#
# ## Predict, then run
#
# Three services, but one is five times slower. Four callers ask all the time. Which answers sooner
# on average: in turns, or the one with fewer requests in flight?

# %% [markdown] lang="zh-TW"
# 新的副本補上了位置，它手上的請求則由另一個回答。
#
# 重試一定安全嗎？不一定。如果根本沒連上，或者回應是 503「我正忙」，表示事情還沒開始做，換一個問就好。
# 但 422 問哪個服務都一樣；要是所有服務都不對勁，重試只會雪上加霜。
# 所以重試有額度：每五個請求，多送一個。
#
# ## 先猜，再執行
#
# 三個服務，其中一個慢五倍，四位呼叫者不停地問。
# 平均起來，哪個回得比較快：輪流，還是挑手上請求比較少的那個？

# %%
def takes(seconds):
    def slow_model(rows):
        time.sleep(seconds)
        return [0] * len(rows)
    return slow_model

speeds = {"quick-1": 0.02, "quick-2": 0.02, "slow": 0.1}
mixed = [deploy(takes(s), name=n, example=X_train) for n, s in speeds.items()]

# %%
from concurrent.futures import ThreadPoolExecutor

def mean_of(strategy):
    several = Client([service.url for service in mixed], strategy=strategy)
    began = time.perf_counter()
    with several, ThreadPoolExecutor(4) as callers:
        list(callers.map(several.predict, [[0.0] * 13] * 120))
        requests = [fact.requests for fact in several.balancer.facts()]
    return requests, (time.perf_counter() - began) * 4 / 120

# %%
for strategy in ["round_robin", "least_request"]:
    requests, mean = mean_of(strategy)
    print(f"{strategy:14} requests {requests}, {mean * 1000:.0f} ms on average")

# %% [markdown]
# In turns, the slow one gets as many as the others, and its queue makes everybody wait.
# `least_request` draws two by chance and takes the less busy one. That is nearly as good as looking
# at all of them, and it never sends everybody to the same one.
#
# ## Two tasks
#
# **07.1** A new model shall get one request in ten. Give the weights for the endpoints "old" and
# "new": `check("07.1", weights)`.
#
# **07.2** Write `ask(balancer, send)`: it leases an endpoint, returns `send(endpoint)`, and when
# that raises `ConnectionError` it asks another one. When all are gone it raises.

# %% [markdown] lang="zh-TW"
# 輪流的話，慢的那個分到的和別人一樣多，它前面排的隊會拖累所有人。
# `least_request` 隨機抽兩個，挑比較閒的那一個。效果和看遍全部幾乎一樣好，又不會讓所有人同時湧向同一個。
#
# ## 兩個練習
#
# **07.1** 新模型要分到十分之一的請求。請替端點 "old" 和 "new" 訂出權重：`check("07.1", weights)`。
#
# **07.2** 寫一個 `ask(balancer, send)`：它租用一個端點，回傳 `send(endpoint)`；
# 遇到 `ConnectionError` 就改問另一個。全部都掛了才引發錯誤。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# weights = ...
# check("07.1", weights)

# def ask(balancer, send): ...
# check("07.2", ask)

# %% [markdown]
# *One answer is in the folded cell below. `hint("07.1")` and `hint("07.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("07.1")` 和 `hint("07.2")` 可以幫忙。

# %% jupyter={"source_hidden": true}
check("07.1", {"old": 9, "new": 1})

def ask(balancer, send, tried=()):
    try:
        with balancer.lease(avoid=tried) as endpoint:
            return send(endpoint)
    except ConnectionError:
        return ask(balancer, send, [*tried, endpoint])

check("07.2", ask)

# %% [markdown]
# ## In production
#
# - **Envoy**, **HAProxy** and **nginx** do the same in front of any service; our numbers (five
#   failures, 30 seconds out, never more than half, a budget for second tries) are theirs.
# - **Kubernetes**' Service spreads connections by chance and leaves out what is not ready.
# - **Ray Serve** and **KServe** choose the replica with fewer requests in flight.
#
# ## Summary
#
# Choosing is easy. What counts is to notice who is ill, to leave them out for a while, to let them
# come back slowly, and to ask again only where it does no harm.
#
# **Quiz**
#
# 1. Three services are equally fast. Which strategy is best?
# <details><summary>Answer</summary>In turns is enough. Least request is as good, and stays good when
# one of them becomes slow.</details>
#
# 2. A service answers 500. Why not ask another one?
# <details><summary>Answer</summary>The model itself failed at this request. The next one would fail
# too, and the callers wait twice as long for it.</details>
#
# 3. Four of five services fail their health check. Why are all five used then?
# <details><summary>Answer</summary>So many are rarely ill at once; more likely the check is. And the
# last one alone would be crushed.</details>

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **Envoy**、**HAProxy** 和 **nginx** 擋在任何服務前面做同樣的事；我們的數字
#   （失敗五次、隔離 30 秒、最多剔除一半、重試有額度）就是照它們的。
# - **Kubernetes** 的 Service 隨機分散連線，並略過還沒就緒的。
# - **Ray Serve** 和 **KServe** 會挑手上請求比較少的副本。
#
# ## 重點整理
#
# 挑一個很容易。難的是發現誰不對勁，先讓它休息一陣子，再慢慢讓它回來，而且只在不會造成傷害時才重試。
#
# **小測驗**
#
# 1. 三個服務一樣快。哪一種策略最好？
# <details><summary>答案</summary>輪流就夠了。挑請求最少的也一樣好，而且其中一個變慢時依然有效。</details>
#
# 2. 服務回了 500，為什麼不改問另一個？
# <details><summary>答案</summary>是模型處理這個請求時自己失敗了。換下一個也會失敗，只是讓呼叫者等兩倍的時間。</details>
#
# 3. 五個服務有四個沒通過健康檢查，為什麼反而五個全用？
# <details><summary>答案</summary>很少會同時壞這麼多個，比較可能是檢查本身有問題。況且只剩最後一個，會被壓垮。</details>

# %% [markdown]
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 收拾

# %%
from nbdeploy import stop_all

client.close()
stop_all()
