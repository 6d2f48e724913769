# %% [markdown]
# # Deploy a model: the course
#
# From a model in a notebook cell to a service that others call, that is watched, that has versions,
# and that grows with its callers. Each lesson follows a section of the chapter: it takes the
# chapter's own class apart, breaks it, and shows what `nbdeploy`'s class of the same name does about
# it.
#
# You need Python and a little scikit-learn. You need no account, no internet and no Docker.
#
# **Where am I?** This card knows what you solved, in all notebooks:

# %% [markdown] lang="zh-TW"
# # 部署模型：課程總覽
#
# 從 notebook 儲存格裡的一個模型，走到別人可以呼叫、有人監控、有版本、還能隨呼叫量擴縮的服務。
# 每一課對應教材的一節：先把教材自己的類別拆開來看，把它弄壞，再看 `nbdeploy` 的同名類別怎麼處理。
#
# 你需要 Python 和一點 scikit-learn，不需要帳號、網際網路，也不需要 Docker。
#
# **我在哪裡？** 這張卡片知道你在所有 notebook 裡完成了什麼：

# %%
from nbdeploy.teach import progress

progress()

# %% [markdown]
# ## Start here
#
# | notebook | minutes | you can afterwards say |
# |---|---|---|
# | [00_ready_check](00_ready_check.ipynb) | 5 | my machine works, or I know what to fix first |
# | [quickstart](quickstart.ipynb) | 10 | I trained, deployed, asked, broke and stopped a service |
#
# ## Lessons
#
# | lesson | chapter | minutes | you can afterwards |
# |---|---|---|---|
# | [01_save_and_load](01_save_and_load.ipynb) | 1.1 | 30 | say why a pickle is a program, what a manifest protects, which format when |
# | [02_model_versions](02_model_versions.ipynb) | 1.2 | 30 | register, compare, give the live one a name, roll back |
# | [03_rest_service](03_rest_service.ipynb) | 2.1 | 35 | deploy, call, read a 422, read the OpenAPI page |
# | [04_monitoring](04_monitoring.ipynb) | 2.2 | 35 | read quantiles, error rate and drift; watch a dashboard; be alerted |
# | [05_docker](05_docker.ipynb) | 3.1 | 30 | say what each line of a Dockerfile is for, and what makes a build repeatable |
# | [06_kubernetes](06_kubernetes.ipynb) | 3.2 | 35 | read a Deployment, a Service, an HPA and probes; roll out and back |
# | [07_load_balancing](07_load_balancing.ipynb) | 4.1 | 30 | choose between turns, chance, weights and least request; say what a dead replica does |
# | [08_autoscaling](08_autoscaling.ipynb) | 4.2 | 30 | let a policy decide, see flapping, and stop it |
# | [09_capstone](09_capstone.ipynb) | all | 35 | bring a version to ten percent, notice that the world moved, go back |
#
# Take them in this order the first time. Short of time: 00, quickstart, 01, 03, 04. Lessons 05 and 06
# need no engine and no cluster.
#
# ## Exercises
#
# In a lesson you read and try; in an exercise you build. Each has five to seven steps, a check for
# each step, and hints that come one at a time. The solutions are in the folder `exercises/solutions`.
#
# | exercise | after lesson | minutes | you build |
# |---|---|---|---|
# | [ex1_full_flow](exercises/ex1_full_flow.ipynb) | 05 | 60 | the whole flow: a file, a service, a bundle for a container |
# | [ex2_rollback_and_ab](exercises/ex2_rollback_and_ab.ipynb) | 03 | 60 | versions with a way back, and an A/B test that you can trust |
# | [ex3_autoscaling](exercises/ex3_autoscaling.ipynb) | 08 | 60 | an autoscaler, and what it starts and stops |
# | [ex4_dashboard](exercises/ex4_dashboard.ipynb) | 04 | 60 | a dashboard with performance and predictions |
# | [ex5_ensemble](exercises/ex5_ensemble.ipynb) | 03 | 60 | one service of several models, also when one of them fails |
#
# ## How it works
#
# - **Shift + Enter** runs a cell. Run cells from the top; any cell may be run again.
# - A lesson breaks things on purpose. Red text below *Break it on purpose* is the lesson.
# - `check("03.1", ...)` looks at what your objects do, and says what is missing. `hint("03.1")` helps,
#   each time a little more.
# - Something is odd? *Kernel, Restart and Run up to Selected Cell*. What you solved stays solved.
# - Shut a notebook's kernel down when you are done: it takes memory.
#
# Your folder `work` holds what the notebooks write. This cell writes the report that you can hand in:

# %% [markdown] lang="zh-TW"
# ## 從這裡開始
#
# | notebook | 分鐘 | 做完之後你可以說 |
# |---|---|---|
# | [00_ready_check](00_ready_check.ipynb) | 5 | 我的機器沒問題，或者我知道要先解決什麼 |
# | [quickstart](quickstart.ipynb) | 10 | 我訓練、部署、呼叫、弄壞並停掉了一個服務 |
#
# ## 課程
#
# | 課 | 教材 | 分鐘 | 學完之後你可以 |
# |---|---|---|---|
# | [01_save_and_load](01_save_and_load.ipynb) | 1.1 | 30 | 說明為什麼 pickle 是程式、清單檔擋下什麼、何時用哪種格式 |
# | [02_model_versions](02_model_versions.ipynb) | 1.2 | 30 | 登記、比較、替線上那一版取名、退回前一版 |
# | [03_rest_service](03_rest_service.ipynb) | 2.1 | 35 | 部署、呼叫、讀懂 422 和 OpenAPI 頁面 |
# | [04_monitoring](04_monitoring.ipynb) | 2.2 | 35 | 讀懂分位數、錯誤率和漂移；看儀表板；收到警示 |
# | [05_docker](05_docker.ipynb) | 3.1 | 30 | 說出 Dockerfile 每一行的用途，以及怎樣的建置可以重現 |
# | [06_kubernetes](06_kubernetes.ipynb) | 3.2 | 35 | 讀懂 Deployment、Service、HPA 和探針；推出與退回 |
# | [07_load_balancing](07_load_balancing.ipynb) | 4.1 | 30 | 在輪流、隨機、權重和最少請求之間選擇；說出副本死掉會怎樣 |
# | [08_autoscaling](08_autoscaling.ipynb) | 4.2 | 30 | 讓策略決定、看出來回震盪，並止住它 |
# | [09_capstone](09_capstone.ipynb) | 全部 | 35 | 讓百分之十的人用新版本、察覺世界變了、退回去 |
#
# 第一次請照順序學。時間不夠的話：00、quickstart、01、03、04。第 05 和 06 課不需要容器引擎，也不需要叢集。
#
# ## 練習
#
# 課程是邊讀邊試，練習則要自己動手做。每個練習有五到七個步驟，每步都有檢查，提示一次給一個。
# 解答在資料夾 `exercises/solutions` 裡。
#
# | 練習 | 學完這課再做 | 分鐘 | 你會做出 |
# |---|---|---|---|
# | [ex1_full_flow](exercises/ex1_full_flow.ipynb) | 05 | 60 | 完整流程：檔案、服務、容器用的部署包 |
# | [ex2_rollback_and_ab](exercises/ex2_rollback_and_ab.ipynb) | 03 | 60 | 有回頭路的版本，以及信得過的 A/B 測試 |
# | [ex3_autoscaling](exercises/ex3_autoscaling.ipynb) | 08 | 60 | 自動擴展器，以及它開關的東西 |
# | [ex4_dashboard](exercises/ex4_dashboard.ipynb) | 04 | 60 | 顯示效能和預測結果的儀表板 |
# | [ex5_ensemble](exercises/ex5_ensemble.ipynb) | 03 | 60 | 由多個模型組成的服務，其中一個失敗也不怕 |
#
# ## 怎麼進行
#
# - **Shift + Enter** 執行儲存格。從上往下依序執行，任何一格都可以重跑。
# - 課程會故意弄壞東西。「故意弄壞它」底下的紅字，正是要教的內容。
# - `check("03.1", ...)` 看你的物件做了什麼，並說出還缺什麼。`hint("03.1")` 可以幫忙，每次多說一點。
# - 不太對勁？用選單 **Kernel** 裡的 **Restart and Run up to Selected Cell**。完成的步驟不會不見。
# - 做完一份 notebook 就關掉它的核心，因為它占記憶體。
#
# 資料夾 `work` 放的是各個 notebook 寫出的東西。這一格會寫出可以交給老師的報告：

# %%
from nbdeploy.teach import report

report("work/report.json")

# %% [markdown]
# **More:** the [cheat sheet](cheat_sheet.md) has the whole course on one page. For teachers:
# [scripts, timing, questions](teacher/README.md).

# %% [markdown] lang="zh-TW"
# **還有：**[速查表](cheat_sheet.md)把整個課程濃縮成一頁。給老師的[腳本、時間、提問](../teacher/README.md)。
