# %% [markdown]
# # 6 Into a cluster
#
# After this lesson you can
#
# - say what Deployment, Service, HPA and probes are for, and read their YAML,
# - tell what a rollout does pod by pod, and what stops it,
# - know which values a cluster refuses before it sees them.
#
# No cluster is needed: where one would answer, the lesson shows what it says.

# %%
from palmerpenguins import load_penguins
from sklearn.linear_model import LogisticRegression
from nbdeploy import deploy

penguins = load_penguins().dropna()
X, y = penguins[["bill_length_mm", "bill_depth_mm"]], penguins["species"]
model = LogisticRegression(max_iter=1000).fit(X, y)

service = deploy(model, name="penguins", example=X)
bundle = service.bundle("work/06/penguins")

# %% [markdown]
# ## See it first
#
# A cluster does not take your model, and not your folder. It takes the *name* of an image, and a wish:
# three of these, please, always. The wish is written in objects. Here are all of them; the tabs show
# each one:

# %%
made = bundle.kubernetes(image="registry.example/penguins:1.0", replicas=3)
made

# %% [markdown]
# Read the first tab again. `split` and `shadow` do not come along: in a cluster every pod serves the
# one version of its image.
#
# A *pod* is one running container with an address of its own. Nobody starts pods by hand:
#
# - the **Deployment** keeps three of them alive. One dies? Another one comes.
# - the **Service** is the address that stays, while pods come and go.
#
# ## Take it apart
#
# This is the chapter's class, without the lines that need a cluster. What happens while a pod starts
# and the model is not loaded yet? What happens if one pod takes all the memory of its machine?

# %% tags=["chapter"]
class KubernetesDeployer:
    def create_deployment(self, name: str, image: str, replicas: int = 3) -> dict:
        container = {"name": name, "image": image, "ports": [{"containerPort": 8000}]}
        pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        selector = {"matchLabels": {"app": name}}
        spec = {"replicas": replicas, "selector": selector, "template": pod}
        return {"kind": "Deployment", "metadata": {"name": name}, "spec": spec}


simple = KubernetesDeployer().create_deployment("penguins", "registry.example/penguins:1.0")

# %% [markdown]
# A pod gets requests as soon as its process runs, ready or not, and may take all there is. Here is what
# ours adds to the same container:

# %% tags=["nbval-check-output"]
objects = {each["kind"]: each for each in made.objects()}
[container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
[plain] = simple["spec"]["template"]["spec"]["containers"]
for name in sorted(set(container) - set(plain)):
    print(name)

# %% [markdown]
# - **`startupProbe`**: give it time. Imports and a model take seconds.
# - **`readinessProbe`**: no? Then no requests for now, the Service leaves this pod out.
# - **`livenessProbe`**: no? Then it hangs, and is started again. It asks for less than the one above:
#   a busy pod is not a dead one.
# - **`lifecycle`**: before it ends, wait five seconds, until nobody sends anything to it.
# - **`resources`**: what it *requests* decides on which machine it fits. Above its *limit* of memory it
#   is ended.
#
# How does anybody know which pods belong to a Service? By labels, and by nothing else:

# %% tags=["nbval-check-output"]
selector = objects["Service"]["spec"]["selector"]
labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
print(selector)
print(selector.items() <= labels.items(), "app.kubernetes.io/version" in selector)

# %% [markdown]
# The version is a label and no part of the selector: during a rollout the pods of both versions answer.
#
# Lesson 8 is about policies that count replicas. The cluster has its own machine for that, the HPA, and
# takes the same policy. What happens to `replicas: 3`?

# %% tags=["nbval-check-output"]
from nbdeploy.scaling import HpaPolicy

policy = HpaPolicy(target=70, min_replicas=2, max_replicas=6)
scaled = bundle.kubernetes(image="registry.example/penguins:1.0", autoscale=policy)
saved = made.save("work/06/penguins.yaml")
for change in scaled.diff(saved):
    print(str(change)[:70])

# %% [markdown]
# It is gone. Two who decide about one number would fight for it: each time you apply the file, your 3
# would undo what the HPA found out.
#
# ## Break it on purpose
#
# A cluster reads the values after you sent them. Some of these it would refuse, one after the other,
# and some it would take, to your harm. Which?

# %% tags=["nbval-check-output"]
from nbdeploy import ClusterError

for wrong in ({"image": "penguins:latest"}, {"name": "Penguins"}, {"replicas": -1},
              {"env": {"DB_PASSWORD": "hunter2"}}, {"host": "penguins/../admin"}):
    try:
        bundle.kubernetes(**{"image": "registry.example/penguins:1.0", **wrong})
    except ClusterError as error:
        print(str(error)[:66], "...")

# %% [markdown]
# `latest` would work today. Tomorrow it is another image, and a rollback finds the same one again. The
# password would work too: whoever may read a Deployment could read it.
#
# And without a cluster?

# %%
from nbdeploy import KubernetesDeployer as Deployer

try:
    made.apply(Deployer(kubeconfig="work/06/no-such-file"))
except ClusterError as error:
    print(error)

# %% [markdown]
# With a cluster, `made.apply()` returns a handle with the verbs that you know: `predict`, `stats`,
# `scale`, `rollout`, `rollback`, `stop`.
#
# ## Predict, then run
#
# Three pods run version 1.0. You roll out 1.1, and its image was never pushed. How many pods answer
# after an hour: none, two or three? This is what a cluster would say of its Deployment and of the new
# pod:

# %%
from nbdeploy.containers.cluster_rollout import rollout_of

deployment = {
    "metadata": {"name": "penguins", "generation": 2}, "spec": {"replicas": 3},
    "status": {"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 3},
}
waiting = {"image": "registry.example/penguins:1.1",
           "state": {"waiting": {"reason": "ImagePullBackOff"}}}
new_pod = {"status": {"containerStatuses": [waiting]}}
rollout_of(deployment, [new_pod])

# %% [markdown]
# Three, all of the old version. The Deployment starts one more pod (`maxSurge: 1`) and takes none away
# before it answers (`maxUnavailable: 0`). A broken version costs a place, and no request.
#
# In the notebook, `handle.status(timeout=300)` watches this live. Interrupt the cell if you like: the
# cluster goes on by itself. `handle.rollback()` brings the old pods back.
#
# ## Two tasks
#
# **06.1** Write `bounds(replicas, surge, unavailable)`: the fewest pods that answer during a rollout,
# and the most that exist, as a tuple. Both may be numbers or texts such as `"25%"` of the replicas;
# Kubernetes rounds a surge up, and unavailable pods down.
#
# **06.2** Write `reached(selector, pods)`: the names of the pods that a Service sends requests to. A pod
# is a dict such as `{"name": "a", "labels": {"app": "x"}, "ready": True}`.

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# def bounds(replicas, surge, unavailable): ...
# check("06.1", bounds)

# def reached(selector, pods): ...
# check("06.2", reached)

# %% [markdown]
# *One answer is in the folded cell below. `hint("06.1")` and `hint("06.2")` help before.*

# %% jupyter={"source_hidden": true}
def bounds(replicas, surge, unavailable):
    def pods(value, extra):
        is_share = isinstance(value, str)
        return (replicas * int(value[:-1]) + extra) // 100 if is_share else value
    return replicas - pods(unavailable, 0), replicas + pods(surge, 99)

def reached(selector, pods):
    fits = lambda pod: selector.items() <= pod["labels"].items()
    return [pod["name"] for pod in pods if pod["ready"] and fits(pod)]

check("06.1", bounds)
check("06.2", reached)

# %% [markdown]
# ## In production
#
# - **KServe** adds an object of its own, `InferenceService`: you name a model, it makes the rest, and it
#   can split the traffic.
# - **Ray Serve** runs its own replicas inside of a few large pods, and scales by requests in flight.
# - **BentoML** builds the image and leaves the objects to you, or to its paid cloud.
#
# ## Summary
#
# You do not tell a cluster what to do. You tell it what there shall be, and it works on it, day and
# night. Deployment, Service and probes say what "well" means for your model.
#
# **Quiz**
#
# 1. Why is a pod that is not ready left alone, and one that is not alive started again?
# <details><summary>Answer</summary>Not ready passes: it loads, or has too much to do. Not alive does not
# pass by waiting.</details>
#
# 2. The model needs 400 MB and its limit is 300 MB. What do you see?
# <details><summary>Answer</summary>OOMKilled, again and again, and then CrashLoopBackOff: the pauses
# between two starts become longer.</details>
#
# 3. You changed the token in the Secret. Why do callers still need the old one?
# <details><summary>Answer</summary>A pod reads its variables when it starts. nbdeploy therefore marks the
# pods with a trace of the token: with another one they are replaced.</details>

# %% [markdown]
# ## Clean up

# %%
from nbdeploy import stop_all

stop_all()
