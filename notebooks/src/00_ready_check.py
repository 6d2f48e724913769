# %% [markdown]
# # 0 Is this machine ready?
#
# After this notebook you know
#
# - whether your machine can run all lessons, or what to fix first,
# - how many processors are really yours,
# - how a task in these notebooks is checked.
#
# It takes five minutes.

# %% [markdown] lang="zh-TW"
# # 0 這台機器準備好了嗎？
#
# 做完這份 notebook，你會知道
#
# - 這台機器能不能跑完所有課程，不行的話要先解決什麼，
# - 真正歸你用的處理器有幾個，
# - 這些 notebook 裡的練習怎麼檢查。
#
# 大約五分鐘。

# %% [markdown]
# ## One table
#
# A service needs a port, a folder to write to, some memory and its libraries. One call looks at
# all of it.

# %% [markdown] lang="zh-TW"
# ## 一張表
#
# 服務需要連接埠、可以寫入的資料夾、一些記憶體，還有它的函式庫。一次呼叫全部檢查完。

# %%
from nbdeploy.teach import check, hint, ready_check, report

ready = ready_check()
ready

# %% [markdown]
# Each row is *ok*, a *warning* or a *problem*. Beside a warning or a problem stands what to do.
# Warnings may stay: the lessons work, with a limit.
#
# Is everything there? Let the check say it.

# %% [markdown] lang="zh-TW"
# 每一列的結果是 ok（正常）、warning（警告）或 problem（問題）。有警告或問題的那一列，旁邊會寫該怎麼處理。
# 警告可以先放著：課程照樣能跑，只是有些限制。
#
# 該有的都有了嗎？讓檢查來告訴你。

# %%
check("00.1", ready)

# %% [markdown]
# Every task has such a check. It says what was expected, what came and where to look. It looks at
# what your objects *do*, so there is more than one right answer. Run it as often as you like.

# %% [markdown] lang="zh-TW"
# 每個練習都有這樣的檢查。它會說明預期是什麼、實際得到什麼、該往哪裡找。
# 它看的是你的物件**做了什麼**，所以正確答案不只一種。要跑幾次都可以。

# %% [markdown]
# ## How many processors are yours?
#
# A class often shares one big machine, and each of you gets a part of it. How many processors does
# Python see?

# %% [markdown] lang="zh-TW"
# ## 你有幾個處理器？
#
# 一個班級常常共用一台大機器，每個人只分到一部分。Python 看到的處理器有幾個？

# %%
import os

os.cpu_count()

# %% [markdown]
# That is the number of the *machine*. In a container or on a hub your part may be smaller. A program
# that starts a worker for each processor of the machine is then slow, not fast.
#
# **Your turn.** Read in the table how many processors you may use. Write the number into
# `processors`, and call `check("00.2", processors)`. Stuck? `hint("00.2")` helps.

# %% [markdown] lang="zh-TW"
# 這是**整台機器**的數量。在容器裡或在 hub 上，你分到的可能比較少。
# 程式如果照整台機器的處理器數量開工作行程，結果不會更快，只會更慢。
#
# **換你試試**：從表裡找出你可以用幾個處理器，把數字寫進 `processors`，
# 再呼叫 `check("00.2", processors)`。卡住了？`hint("00.2")` 可以幫忙。

# %%
# Your turn. Mark the lines below, press Ctrl + / (Cmd + / on a Mac), and write your number.

# processors = ...
# check("00.2", processors)

# %% [markdown]
# *One answer is in the folded cell below.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案。

# %% jupyter={"source_hidden": true}
from nbdeploy.machine import usable_cpus

processors = usable_cpus()
check("00.2", processors)

# %% [markdown]
# ## Try the whole way once
#
# Does a service start here, and does it answer? The next cell deploys a small model, asks it for
# three flowers, and stops it.

# %% [markdown] lang="zh-TW"
# ## 整個流程先走一遍
#
# 服務在這裡啟動得了嗎？會回應嗎？下一格會部署一個小模型，請它判斷三朵花，然後把它停掉。

# %%
from nbdeploy import deploy
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1000).fit(X, y)
with deploy(model, name="iris", example=X) as service:
    answer = service.predict(X.iloc[[0, 60, 140]])
assert list(answer) == [0, 1, 2]
answer

# %% [markdown]
# Three flowers, three classes: 0, 1 and 2. The `with` block stopped the service at its end.
#
# ## Your report
#
# `report()` writes a small file that you can hand in: which tasks you solved, and when.

# %% [markdown] lang="zh-TW"
# 三朵花，三個類別：0、1、2。離開 `with` 區塊時，服務就停了。
#
# ## 你的報告
#
# `report()` 會寫出一個可以交給老師的小檔案：你完成了哪些練習、什麼時候完成的。

# %%
report("work/00/report.json")

# %% [markdown]
# **Next:** the `quickstart`, if you have not done it, then `01_save_and_load`.

# %% [markdown] lang="zh-TW"
# **下一步**：還沒做過 `quickstart` 的話先去做，接著是 `01_save_and_load`。
