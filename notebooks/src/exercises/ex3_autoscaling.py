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

# %%
stop_all()
