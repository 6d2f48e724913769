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

# %% [markdown] lang="zh-TW"
# # 6 送進叢集
#
# 學完這一課，你可以
#
# - 說出 Deployment、Service、HPA 和探針（probe）的用途，並讀懂它們的 YAML，
# - 說明推出新版本時，pod 會怎樣一個一個替換，什麼會讓它停下來，
# - 知道哪些值還沒送到叢集，就該先擋下來。
#
# 不需要有叢集：該由叢集回答的地方，這一課會直接給你看它怎麼說。

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

# %% [markdown] lang="zh-TW"
# ## 先看成果
#
# 叢集不收你的模型，也不收你的資料夾。它要的是映像檔的**名稱**和一個願望：請永遠維持三份。
# 願望要寫成物件。下面是全部的物件，每個分頁一個：

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

# %% [markdown] lang="zh-TW"
# 再看一次第一個分頁。`split` 和 `shadow` 沒有跟過來：在叢集裡，每個 pod 只提供自己映像檔的那一版。
#
# **pod** 是一個執行中的容器，有自己的位址。沒有人親手啟動 pod：
#
# - **Deployment** 讓三個 pod 一直活著。死了一個？再補一個。
# - **Service** 是不變的位址，任憑 pod 來來去去。
#
# ## 拆開來看
#
# 這是教材裡的類別，去掉了需要叢集的那幾行。pod 正在啟動、模型還沒載入時，會發生什麼事？
# 要是某個 pod 把機器的記憶體全占光了呢？

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

# %% [markdown] lang="zh-TW"
# 行程一跑起來，pod 就開始收到請求，不管準備好了沒；而且想占多少資源就占多少。
# 同一個容器，我們的類別多加了這些：

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

# %% [markdown] lang="zh-TW"
# - **`startupProbe`**：給它時間。匯入套件和載入模型要好幾秒。
# - **`readinessProbe`**：沒回應？那就先別送請求，Service 會略過這個 pod。
# - **`livenessProbe`**：沒回應？那就是卡死了，重新啟動。它的要求比上一個寬鬆：忙碌的 pod 不是死掉的 pod。
# - **`lifecycle`**：結束之前先等五秒，等到不再有人送東西來。
# - **`resources`**：request（要求量）決定它放得進哪台機器；記憶體超過 limit（上限）就會被終止。
#
# 怎麼知道哪些 pod 屬於某個 Service？看標籤，而且只看標籤：

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

# %% [markdown] lang="zh-TW"
# 版本是標籤，但不在選擇器（selector）裡：推出新版本的過程中，兩版的 pod 都會回答。
#
# 第 8 課講的是計算副本數的策略。叢集有自己的機制，叫做 HPA，用的是同一個策略。
# 那 `replicas: 3` 會怎麼樣？

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

# %% [markdown] lang="zh-TW"
# 它不見了。同一個數字由兩邊決定，就會打架：每次套用這個檔案，你的 3 都會蓋掉 HPA 好不容易得出的結果。
#
# ## 故意弄壞它
#
# 叢集要等你送出之後才會讀這些值。其中有些它會一個一個拒絕，有些它會照收，然後害到你。是哪些？

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

# %% [markdown] lang="zh-TW"
# `latest` 今天行得通。明天它就是另一個映像檔了，想退回去，找到的還是同一個。
# 密碼也行得通：只要能讀 Deployment 的人，都讀得到它。
#
# 那沒有叢集呢？

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

# %% [markdown] lang="zh-TW"
# 有叢集的話，`made.apply()` 會回傳一個物件，方法都是你認識的：`predict`、`stats`、
# `scale`、`rollout`、`rollback`、`stop`。
#
# ## 先猜，再執行
#
# 三個 pod 在跑 1.0 版。你推出 1.1 版，但它的映像檔根本沒有上傳。一個小時之後，有幾個 pod 在回答：零個、兩個，還是三個？
# 叢集對它的 Deployment 和新的 pod，會這樣說：

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

# %% [markdown] lang="zh-TW"
# 三個，全是舊版。Deployment 會多開一個 pod（`maxSurge: 1`），在它能回答之前，一個也不會收掉（`maxUnavailable: 0`）。
# 壞掉的版本占掉一個位置，但不會弄丟任何請求。
#
# 在 notebook 裡，`handle.status(timeout=300)` 可以即時觀察這個過程。想中斷儲存格也可以，叢集會自己繼續。
# `handle.rollback()` 會把舊的 pod 帶回來。
#
# ## 兩個練習
#
# **06.1** 寫一個 `bounds(replicas, surge, unavailable)`：推出過程中最少有幾個 pod 在回答、最多有幾個 pod 存在，
# 回傳一個 tuple。後兩個參數可以是數字，也可以是字串，例如 `"25%"`，代表副本數的比例；
# Kubernetes 對 surge 無條件進位，對 unavailable 無條件捨去。
#
# **06.2** 寫一個 `reached(selector, pods)`：Service 會把請求送給哪些 pod，回傳它們的名稱。
# pod 是一個 dict，像 `{"name": "a", "labels": {"app": "x"}, "ready": True}`。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below and press Ctrl + / (Cmd + / on a Mac).

# def bounds(replicas, surge, unavailable): ...
# check("06.1", bounds)

# def reached(selector, pods): ...
# check("06.2", reached)

# %% [markdown]
# *One answer is in the folded cell below. `hint("06.1")` and `hint("06.2")` help before.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。在那之前，`hint("06.1")` 和 `hint("06.2")` 可以幫忙。

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

# %% [markdown] lang="zh-TW"
# ## 在正式環境
#
# - **KServe** 多了自己的物件 `InferenceService`：你說出模型，其他的它來做，還能分流。
# - **Ray Serve** 在少數幾個大型 pod 裡跑自己的副本，依處理中的請求數擴縮。
# - **BentoML** 負責建置映像檔，物件則留給你，或交給它的付費雲端。
#
# ## 重點整理
#
# 你不是告訴叢集該做什麼，而是告訴它最後該有什麼，它就日以繼夜地往那裡努力。
# Deployment、Service 和探針說明了對你的模型來說，怎樣才叫「正常」。
#
# **小測驗**
#
# 1. 為什麼還沒就緒的 pod 不去動它，沒有活著的卻要重新啟動？
# <details><summary>答案</summary>還沒就緒會過去：它正在載入，或是太忙。沒有活著的話，再等也不會好。</details>
#
# 2. 模型需要 400 MB，上限卻是 300 MB。你會看到什麼？
# <details><summary>答案</summary>一再出現 OOMKilled，然後是 CrashLoopBackOff：兩次啟動之間的間隔越來越長。</details>
#
# 3. 你改了 Secret 裡的 token，為什麼呼叫者還是得用舊的？
# <details><summary>答案</summary>pod 只在啟動時讀取變數。所以 nbdeploy 會在 pod 上留下 token 的痕跡：token 一換，pod 就會被替換。</details>

# %% [markdown]
# ## Clean up

# %% [markdown] lang="zh-TW"
# ## 收拾

# %%
from nbdeploy import stop_all

stop_all()
