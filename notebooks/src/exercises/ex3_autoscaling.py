# %% [markdown]
# # Exercise 3: as many replicas as the load needs
#
# *45 to 60 minutes, six steps. You need lessons 7 and 8.*
#
# A shop asks your model for the price of a delivery. At night nobody calls, at noon everybody does.
# You build what adds instances when the load grows and takes them away when it falls: first the
# parts, each so small that you can test it in your head, then the whole, under a real load.
#
# In each step, replace `...` by your code, run the cell, then run the check below it. Stuck?
# `hint("ex3.1")` gives a first nudge; ask again for more.

# %% [markdown] lang="zh-TW"
# # 練習 3：負載需要多少副本，就開多少
#
# 45 到 60 分鐘，六個步驟。需要先學過第 7 課和第 8 課。
#
# 一家商店向你的模型詢問運費。半夜沒人問，中午人人都在問。
# 你要做的東西，會在負載變大時加開執行個體，變小時收掉：先做零件，每個都小到可以在腦中測試；
# 再組成整體，接受真實的負載。
#
# 每個步驟裡，把 `...` 換成你的程式碼，執行儲存格，再執行下面的檢查。卡住了？
# `hint("ex3.1")` 先給一點提示，再呼叫一次會說得更多。

# %%
import math
import time

from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from nbdeploy import AutoScaler, deploy, stop_all
from nbdeploy.scaling import ConcurrencyPolicy, HpaPolicy, ThresholdPolicy, simulate
from nbdeploy.teach import check, hint

X, y = load_wine(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=10_000).fit(X, y)

# %% [markdown]
# ## Step 1: how many are enough?
#
# An answer takes 30 ms, and an instance gives one answer at a time. At 50 requests a second,
# `50 * 0.03 = 1.5` requests are under way on average (that is *Little's law*). Nobody wants instances
# that are busy all the time: then every small wave has to wait.
#
# Write `needed(rps, seconds, use)`: the smallest number of instances that are busy for at most the
# share `use` of the time. There is always at least one.

# %% [markdown] lang="zh-TW"
# ## 步驟 1：幾個才夠？
#
# 一個回應要 30 ms，一個執行個體一次只答一個。每秒 50 個請求時，
# 平均有 `50 * 0.03 = 1.5` 個請求正在處理（這就是**利特爾法則**，Little's law）。
# 沒有人希望執行個體一直滿載：那樣只要來一點小波動，大家就得等。
#
# 請寫 `needed(rps, seconds, use)`：最少要幾個執行個體，忙碌的時間才不超過比例 `use`。再怎麼少也要有一個。

# %%
def needed(rps, seconds, use=0.8):
    # solution
    return max(1, math.ceil(rps * seconds / use))


# %%
check("ex3.1", needed)

# %% [markdown]
# ## Step 2: keep calm
#
# The load of a shop swings. Whoever follows every swing starts and stops instances all day. Write
# `calm(wanted, window)`: it takes what a policy wanted at each look, the oldest first, and gives what
# it should get instead: **the largest number of the last `window` looks**, so that instances come at
# once, and go late.

# %% [markdown] lang="zh-TW"
# ## 步驟 2：沉住氣
#
# 商店的負載會上下擺動。每次擺動都跟著走，就得整天開開關關。請寫 `calm(wanted, window)`：
# 輸入是策略每次查看時想要的數量，最舊的在前；輸出是實際該給的數量：
# **最近 `window` 次查看裡最大的數字**。這樣執行個體來得快，走得慢。

# %%
def calm(wanted, window):
    # solution
    return [max(wanted[max(0, place - window + 1) : place + 1]) for place in range(len(wanted))]


# %%
check("ex3.2", calm)
print(calm([1, 4, 1, 1, 1, 2, 1], window=3))

# %% [markdown]
# ## Step 3: something that starts and stops
#
# An *actuator* is any object with `replicas` (how many there are) and `scale(n)` (have so many).
# Write the `scale` of this one: it deploys the model several times, under the names "price-1",
# "price-2" and so on, each with `example=X`, and stops those that are too many. The running services
# are in the list `self.services`.

# %% [markdown] lang="zh-TW"
# ## 步驟 3：會開也會關的東西
#
# 執行器（actuator）可以是任何有 `replicas`（現在有幾個）和 `scale(n)`（變成 n 個）的物件。
# 請寫出這個執行器的 `scale`：它會把模型部署好幾份，名稱依序是 "price-1"、"price-2"，以此類推；
# 每個都帶 `example=X`；多出來的就停掉。正在執行的服務放在串列 `self.services`。

# %%
class Instances:
    def __init__(self, model):
        self.model = model
        self.services = []

    @property
    def replicas(self):
        return len(self.services)

    def scale(self, n):
        # solution
        while len(self.services) < n:
            name = f"price-{len(self.services) + 1}"
            self.services.append(deploy(self.model, name=name, example=X))
        while len(self.services) > n:
            self.services.pop().stop()


# %%
instances = Instances(model)
check("ex3.3", instances)

# %% [markdown]
# ## Step 4: put it together
#
# Make `scaler`: an `AutoScaler` from 1 to 3 replicas, with the policy "concurrency", your `instances`
# as its actuator, and a `measure` that reads how many requests are in flight from the dial below.
# The check turns the dial and lets the scaler look.

# %% [markdown] lang="zh-TW"
# ## 步驟 4：組裝起來
#
# 建立 `scaler`：一個從 1 到 3 個副本的 `AutoScaler`，策略是 "concurrency"，執行器是你的 `instances`，
# `measure` 則從下面的旋鈕讀出有幾個請求正在處理。檢查會轉動旋鈕，再讓它查看。

# %%
dial = {"in flight": 1}
# solution
scaler = AutoScaler(
    1, 3, policy="concurrency", actuator=instances, measure=lambda: dial["in flight"]
)

# %%
check("ex3.4", scaler, dial)
instances.scale(0)
scaler.history()

# %% [markdown]
# ## Step 5: choose the numbers before the day begins
#
# This is the load of a day, in percent of one busy instance, one look every 15 seconds. There is noise
# in the night, and everybody comes at noon:

# %% [markdown] lang="zh-TW"
# ## 步驟 5：一天開始之前，先選好數字
#
# 這是一天的負載，以「一個滿載執行個體」的百分比表示，每 15 秒看一次。夜裡有些雜訊，中午所有人一起來：

# %%
night, noon = [55, 80] * 10, [300] * 20
day = night + noon + night + night

# %%
simulate(ThresholdPolicy(tolerance=0, cooldown=0), day).plot()

# %% [markdown]
# Find a policy `chosen` (any of `nbdeploy.scaling`, with numbers of your choice) with which
# `simulate(chosen, day)`
#
# - grows for noon and shrinks afterwards, and turns no other time;
# - has at least four replicas within ten looks after noon began;
# - has no more than two again before the day is over.

# %% [markdown] lang="zh-TW"
# 找出一個策略 `chosen`（`nbdeploy.scaling` 裡任選一個，數字由你決定），使得 `simulate(chosen, day)`
#
# - 中午增加、之後減少，其他時間都不增減；
# - 中午開始後的十次查看之內，至少有四個副本；
# - 一天結束之前，降回最多兩個。

# %%
# solution
chosen = HpaPolicy(target=75, tolerance=0.2, max_replicas=8)
simulate(chosen, day).plot()

# %%
check("ex3.5", chosen)

# %% [markdown]
# ## Step 6: the real thing
#
# This model waits 30 ms for a distant database before it answers. `max_batch_size=1`: one request at
# a time, so that instances matter.

# %% [markdown] lang="zh-TW"
# ## 步驟 6：來真的
#
# 這個模型要先等遠端資料庫 30 ms 才能回答。`max_batch_size=1`：一次只處理一個請求，這樣執行個體的數量才有差別。

# %%
def slow_price(rows):
    import time

    time.sleep(0.03)
    return [float(row[0]) for row in rows]


# %% [markdown]
# Deploy it as `service`, with the name "slow-price" and `max_batch_size=1`. Let it scale by itself from
# 1 to 3 replicas with `service.autoscale`, by the policy below, and keep what that returns as
# `autoscaler`. Then send a ramp with `service.load_test`: from 5 to 60 requests a second and back to 5,
# in 10 seconds; keep the result as `result`.

# %% [markdown] lang="zh-TW"
# 把它部署成 `service`，名稱用 "slow-price"，加上 `max_batch_size=1`。用 `service.autoscale` 讓它照下面的策略，
# 自己在 1 到 3 個副本之間擴縮，回傳的東西存成 `autoscaler`。
# 接著用 `service.load_test` 送出一段爬坡負載：10 秒內從每秒 5 個請求升到 60，再降回 5；結果存成 `result`。

# %%
brisk = ConcurrencyPolicy(interval=0.5, stable_window=6, panic_window=1.5)
example = [[4.5, 1.0], [9.0, 2.0]]
# solution
service = deploy(slow_price, name="slow-price", example=example, max_batch_size=1)
autoscaler = service.autoscale(min_replicas=1, max_replicas=3, policy=brisk)
result = service.load_test([5, 60, 5], seconds=10, ramp=True)

# %%
check("ex3.6", service, autoscaler, result)
autoscaler.history().plot()

# %% [markdown]
# Real processes came and went, and the callers kept one address. What would happen if an instance
# took a minute to start? And which of your parts would notice a measurement that fails?
#
# ## Clean up

# %% [markdown] lang="zh-TW"
# 真正的行程來來去去，呼叫者始終用同一個位址。要是一個執行個體要花一分鐘才開得起來，會怎樣？
# 你做的零件裡，哪一個會發現量測失敗了？
#
# ## 收拾

# %%
stop_all()
