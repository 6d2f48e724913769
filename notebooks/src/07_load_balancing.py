# %% [markdown]
# # 7 Several services behind one name
#
# After this lesson you can
#
# - spread requests over several services: in turns, by chance, by weight, by load,
# - say what a dead, a failing and a slow service do to the callers of the others,
# - decide which request may safely be sent a second time.

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

# %% tags=["nbval-check-output"]
from nbdeploy import LoadBalancer as BetterBalancer

weights = {"a": 5, "b": 3, "c": 1}
better = BetterBalancer(["a", "b", "c"])
print("in turns: ", "".join(better.round_robin() for _ in range(9)))
print("by weight:", "".join(better.smooth_weighted(weights) for _ in range(9)))

# %% [markdown]
# By chance, the weights come out only roughly. How far off are 90 picks?

# %%
from collections import Counter

print("by chance:", Counter(better.weighted_select(weights) for _ in range(90)))
print("smooth:   ", Counter(better.smooth_weighted(weights) for _ in range(90)))

# %% [markdown]
# ## Break it on purpose
#
# A typing error in the weights: the second name does not exist. What does the chapter's class
# answer, and what does the other?

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
# Is a second try always safe? No. Nobody was reached, or the answer was *503*, "I am busy": nothing
# was done yet, so ask another one. But a *422* comes back from every service; and if all services
# are ill, second tries make it worse. So there is a budget: one more for five requests.
#
# ## Predict, then run
#
# Three services, but one is five times slower. Four callers ask all the time. Which is better for
# the slowest percent of the requests: in turns, or the one with fewer requests in flight?

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

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# weights = ...
# check("07.1", weights)

# def ask(balancer, send): ...
# check("07.2", ask)

# %% [markdown]
# *One answer is in the folded cell below. `hint("07.1")` and `hint("07.2")` help before.*

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

# %% [markdown]
# ## Clean up

# %%
from nbdeploy import stop_all

client.close()
stop_all()
