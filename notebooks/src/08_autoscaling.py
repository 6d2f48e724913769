# %% [markdown]
# # 8 As many replicas as the load needs
#
# After this lesson you can
#
# - let a policy decide how many replicas there should be, and read why,
# - see flapping, and say which numbers stop it,
# - compute what Kubernetes' autoscaler would do.

# %% [markdown] lang="zh-TW"
# # 8 負載需要多少副本，就開多少
#
# 學完這一課，你可以
#
# - 讓策略決定該有幾個副本，並讀懂它的理由，
# - 認出來回震盪（flapping），說得出靠哪些數字可以止住，
# - 算出 Kubernetes 的自動擴展會怎麼做。

# %% [markdown]
# ## See it first
#
# A load goes up and down a little, every 15 seconds. Two policies, ten minutes, in no time:

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 負載每 15 秒小幅上下一次。兩種策略，十分鐘的過程，瞬間跑完：

# %% tags=["nbval-check-output"]
from nbdeploy.scaling import HpaPolicy, ThresholdPolicy, simulate

restless = [60, 80] * 20
flapping = simulate(ThresholdPolicy(tolerance=0, cooldown=0), restless)
calm = simulate(HpaPolicy(target=70), restless)
print(flapping)
print(calm)

# %%
flapping.plot()

# %% [markdown]
# 100 is one replica that is fully busy. The first policy starts a replica every half minute, and
# stops it again. That is called *flapping*. Each start costs seconds of work, for nothing.
#
# ## Take it apart
#
# This is the chapter's class. It is that first policy. Look for three more faults: since when does
# the first reading count, whose CPU is it, and what does `scale` do?

# %% [markdown] lang="zh-TW"
# 100 代表一個副本忙到滿載。第一種策略每半分鐘開一個副本，又把它關掉，這就叫**來回震盪**。
# 每開一次都要花好幾秒的工夫，全是白費。
#
# ## 拆開來看
#
# 這是教材裡的類別，也就是上面第一種策略。它還有三個毛病，找找看：
# 第一次讀到的數字是從何時算起、是誰的 CPU，還有 `scale` 做了什麼？

# %% tags=["chapter"]
import psutil


class AutoScaler:
    def __init__(self, min_replicas=1, max_replicas=10, cpu_threshold=70.0):
        self.min_replicas = min_replicas
        self.max_replicas = max_replicas
        self.cpu_threshold = cpu_threshold
        self.current_replicas = min_replicas

    def check_scaling_needs(self):
        cpu_percent = psutil.cpu_percent()
        if cpu_percent > self.cpu_threshold and self.current_replicas < self.max_replicas:
            return self.current_replicas + 1
        elif cpu_percent < self.cpu_threshold / 2 and self.current_replicas > self.min_replicas:
            return self.current_replicas - 1
        return None

    def scale(self, new_replicas):
        self.current_replicas = new_replicas
        # the scaling itself is left out


# %% tags=["nbval-check-output"]
chapter = AutoScaler(max_replicas=3)
chapter.check_scaling_needs()
chapter.scale(-5)
print("replicas now:", chapter.current_replicas)

# %% [markdown]
# It takes minus five replicas, and starts none at all. The CPU is that of the whole machine, your
# browser included; and a first reading tells of some time ago, or nothing at all.
#
# `nbdeploy`'s class has the same calls. Without something that starts replicas it says so:

# %% [markdown] lang="zh-TW"
# 負五個副本它也收，卻一個都沒真的開。它的 CPU 是整台機器的，連你的瀏覽器都算在內；
# 而且第一次讀到的，不是過去一段時間的數字，就是毫無意義的數字。
#
# `nbdeploy` 的類別呼叫方式一樣。沒有東西可以替它開副本時，它會明說：

# %% tags=["nbval-check-output"]
from nbdeploy import AutoScaler as BetterScaler

better = BetterScaler(max_replicas=3, measure=lambda: 95.0)
print("wanted:", better.check_scaling_needs())
print(better)

# %% [markdown]
# ## Give it something to start
#
# An *actuator* is any object with `replicas` and `scale(n)`. Ours deploys the same model several
# times:

# %% [markdown] lang="zh-TW"
# ## 給它可以開關的東西
#
# 執行器（actuator）可以是任何有 `replicas` 和 `scale(n)` 的物件。我們的執行器會把同一個模型部署好幾份：

# %%
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from nbdeploy import Client, deploy, stop_all

X, y = load_wine(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=10_000).fit(X, y)
services = [deploy(model, name="wine-1", example=X)]

# %%
class Services:
    @property
    def replicas(self):
        return len(services)

    def scale(self, n):
        while len(services) < n:
            name = f"wine-{len(services) + 1}"
            services.append(deploy(model, name=name, example=X))
        while len(services) > n:
            services.pop().stop()

# %% [markdown]
# The load comes from a dial that you can turn: requests in flight. Each replica shall have one.
# `tick()` looks once and acts; `start()` does that again and again in the background.

# %% [markdown] lang="zh-TW"
# 負載來自一個你可以轉的旋鈕：處理中的請求數。每個副本負責一個。
# `tick()` 看一次、動作一次；`start()` 在背景一直重複這件事。

# %%
dial = {"in flight": 3}
scaler = BetterScaler(1, 4, policy="concurrency", actuator=Services(),
                      measure=lambda: dial["in flight"])
step = scaler.tick()
print(step.replicas, "->", step.got, "because of", step.reason)
Client([service.url for service in services]).predict(X.head(3)).tolist()

# %% [markdown]
# Three services, after one look. Now the dial goes down to 0. Will the next look stop two of them?

# %% [markdown] lang="zh-TW"
# 看一次，就有三個服務。現在把旋鈕轉到 0。它下次看的時候，會停掉其中兩個嗎？

# %%
dial["in flight"] = 0
print(scaler.tick().reason)
print("replicas:", scaler.current_replicas)

# %% [markdown]
# No. A load that tripled at once is *panic*: replicas come at once, and none goes for a minute. A
# quiet second says little.
#
# ## Break it on purpose
#
# The measurement fails; then somebody asks for too many. Which of the two is an error?

# %% [markdown] lang="zh-TW"
# 不會。負載一下子變成三倍，叫做 panic（緊急狀態）：副本馬上增加，而且一分鐘內一個都不減。
# 安靜一秒鐘，說明不了什麼。
#
# ## 故意弄壞它
#
# 先是量測失敗，接著有人要求太多副本。這兩件事，哪一件算是錯誤？

# %% tags=["nbval-check-output"]
from nbdeploy import ScalingError

del dial["in flight"]
print(scaler.tick().reason)
try:
    scaler.scale(40)
except ScalingError as error:
    print(error)

# %% [markdown]
# An autoscaler that does not know the load changes nothing, and says so. Every look is kept:
# `scaler.history()` is a table.
#
# ## Predict, then run
#
# Kubernetes' formula: replicas times *metric / target*, rounded up; nothing within 10 % of the
# target. The load goes to four replicas' worth and back to one. How long after that does the number
# of replicas go back?

# %% [markdown] lang="zh-TW"
# 不知道負載的自動擴展器什麼都不改，而且會說出來。每次查看都有紀錄：`scaler.history()` 是一張表。
#
# ## 先猜，再執行
#
# Kubernetes 的公式：副本數乘以「指標 / 目標」，無條件進位；和目標差不到 10% 就不動。
# 負載升到四個副本的量，再降回一個的量。降下來之後要過多久，副本數才會跟著減回去？

# %% tags=["nbval-check-output"]
ramp = [70] * 4 + [280] * 12 + [70] * 30
history = simulate(HpaPolicy(target=70), ramp)
for step in history.changes:
    print(f"tick {step.time / 15:.0f}: load {step.load}, replicas {step.replicas} -> {step.got}")

# %%
history.plot()

# %% [markdown]
# Up at once, but one step per look: a replica cannot be busier than 100 %, so the formula sees only
# part of the load. Down after five minutes: of all recommendations in that window, the largest
# counts. That *stabilization window* is what stops flapping.
#
# How much load can the services take at all? `load_test` sends requests from a process of its own,
# each at its moment, whether or not the others are answered:

# %% [markdown] lang="zh-TW"
# 增加是馬上的，但每看一次只走一步：一個副本最多忙到 100%，所以公式只看得到部分的負載。
# 減少要等五分鐘：那段期間裡所有的建議值，以最大的為準。
# 這個**穩定視窗**（stabilization window）就是止住來回震盪的關鍵。
#
# 服務到底扛得住多大的負載？`load_test` 從自己的行程送請求，每個請求都在排定的時刻送出，
# 不管其他請求有沒有回應：

# %%
load = services[0].load_test([20, 100], seconds=4, rows=X)
print(load)
load.plot()

# %% [markdown]
# `load_test(goal_p95=0.05)` searches for the highest rate that keeps 95 % of the answers within
# 50 ms, and says whether replicas would help.
#
# ## Two tasks
#
# **08.1** Find a policy `calm` that does not flap on `[60, 80] * 20`, but has four replicas when the
# load stays at 280. Then `check("08.1", calm)`.
#
# **08.2** Write Kubernetes' formula as `hpa(replicas, metric, target)`: `check("08.2", hpa)`.

# %% [markdown] lang="zh-TW"
# `load_test(goal_p95=0.05)` 會找出讓 95% 的回應不超過 50 ms 的最高速率，並說明多開副本有沒有用。
#
# ## 兩個練習
#
# **08.1** 找一個策略 `calm`，碰到 `[60, 80] * 20` 不會來回震盪，負載停在 280 時又有四個副本。
# 然後 `check("08.1", calm)`。
#
# **08.2** 把 Kubernetes 的公式寫成 `hpa(replicas, metric, target)`：`check("08.2", hpa)`。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# calm = ...
# check("08.1", calm)

# def hpa(replicas, metric, target): ...
# check("08.2", hpa)

# %% [markdown]
# *One answer is in the folded cell below. `hint("08.1")` and `hint("08.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("08.1")` 和 `hint("08.2")` 可以幫忙。

# %% jupyter={"source_hidden": true}
import math

check("08.1", ThresholdPolicy(tolerance=0.2))

def hpa(replicas, metric, target):
    ratio = metric / target
    return replicas if abs(1 - ratio) <= 0.1 else math.ceil(replicas * ratio)

check("08.2", hpa)

# %% [markdown]
# ## In production
#
# - **Kubernetes**' HorizontalPodAutoscaler is `HpaPolicy`: a look every 15 seconds, a window of five
#   minutes before it shrinks.
# - **Knative** and **KServe** scale by requests in flight, with panic, even to zero:
#   `ConcurrencyPolicy`.
# - **Ray Serve** does the same with its queue. All have a tolerance and a delay, for the reason that
#   you have seen.
#
# ## Summary
#
# A policy is a pure function: a load in, a number out. So it can be played over any load before it
# starts anything. What makes it good is what it does *not* do.
#
# **Quiz**
#
# 1. Three replicas at 90 %, the target is 70 %. How many does Kubernetes want?
# <details><summary>Answer</summary>3 times 90 / 70 is 3.86: four.</details>
#
# 2. Why is CPU a poor measure for replicas on your own machine?
# <details><summary>Answer</summary>It includes the notebook and the neighbours, and a model that
# waits for a database is busy without using any.</details>
#
# 3. Why does an open-loop load test show longer latencies than one that waits for each answer?
# <details><summary>Answer</summary>When the service is slow, a sender that waits sends less, and so
# hides the queue. Real callers do not wait for each other.</details>

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **Kubernetes** 的 HorizontalPodAutoscaler 就是 `HpaPolicy`：每 15 秒看一次，縮減前先觀察五分鐘。
# - **Knative** 和 **KServe** 看處理中的請求數，有 panic，還能縮到零：`ConcurrencyPolicy`。
# - **Ray Serve** 看佇列做同樣的事。每一套都有容許範圍和延後時間，理由你剛才已經看到了。
#
# ## 重點整理
#
# 策略是一個純函式：輸入負載，輸出一個數字。所以在它真的開關任何東西之前，可以先拿任何負載來演練。
# 一個策略好不好，看的是它**不**做什麼。
#
# **小測驗**
#
# 1. 三個副本都在 90%，目標是 70%。Kubernetes 要幾個？
# <details><summary>答案</summary>3 乘以 90 / 70 是 3.86，所以是四個。</details>
#
# 2. 為什麼在自己的機器上，CPU 不適合用來決定副本數？
# <details><summary>答案</summary>它把 notebook 和其他程式都算進去了；而等資料庫的模型雖然在忙，卻沒用到 CPU。</details>
#
# 3. 為什麼開迴路（open-loop）的負載測試，量到的延遲會比「等到回應才送下一個」的測試更長？
# <details><summary>答案</summary>服務變慢時，會等的那一方送得也少了，排隊的現象就被藏起來。真實的呼叫者不會互相等待。</details>

# %% [markdown]
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 收拾

# %%
stop_all()
