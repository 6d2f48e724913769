# %% [markdown]
# # 8 As many replicas as the load needs
#
# After this lesson you can
#
# - let a policy decide how many replicas there should be, and read why,
# - see flapping, and say which numbers stop it,
# - compute what Kubernetes' autoscaler would do.

# %% [markdown]
# ## See it first
#
# A load goes up and down a little, every 15 seconds. Two policies, ten minutes, in no time:

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

# %%
dial = {"in flight": 3}
scaler = BetterScaler(1, 4, policy="concurrency", actuator=Services(),
                      measure=lambda: dial["in flight"])
step = scaler.tick()
print(step.replicas, "->", step.got, "because of", step.reason)
Client([service.url for service in services]).predict(X.head(3)).tolist()

# %% [markdown]
# Three services, after one look. Now the dial goes down to 0. Will the next look stop two of them?

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

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# calm = ...
# check("08.1", calm)

# def hpa(replicas, metric, target): ...
# check("08.2", hpa)

# %% [markdown]
# *One answer is in the folded cell below. `hint("08.1")` and `hint("08.2")` help before.*

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

# %% [markdown]
# ## Clean up

# %%
stop_all()
