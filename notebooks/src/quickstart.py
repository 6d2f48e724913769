# %% [markdown]
# # Quickstart: from a model to a service
#
# In five minutes you
#
# - train a model on real data, with text columns and missing values,
# - put it behind a URL with **one call**, and ask it,
# - send it a wrong request, and read what it answers.
#
# Run a cell with **Shift + Enter**. Every cell may be run again: nothing breaks.

# %% [markdown] lang="zh-TW"
# # 快速上手：從模型到服務
#
# 五分鐘內，你會
#
# - 用真實資料訓練一個模型，資料裡有文字欄位，也有缺漏值，
# - 用**一行呼叫**把它變成有 URL 的服務，並向它要預測結果，
# - 送出一個有錯的請求，看看它怎麼回答。
#
# 按 **Shift + Enter** 執行儲存格。每一格都可以重跑，不會弄壞任何東西。

# %% [markdown]
# ## 1 The data
#
# 344 penguins were measured on three islands in Antarctica. The model is to tell the species.
#
# Look at the table: which columns are text? Where is a value missing?

# %% [markdown] lang="zh-TW"
# ## 1 資料
#
# 研究人員在南極的三座島上量測了 344 隻企鵝。模型的任務是認出每一隻屬於哪個物種。
#
# 先看看這張表：哪些欄位是文字？哪裡有缺漏值？

# %%
from palmerpenguins import load_penguins
from sklearn.model_selection import train_test_split

penguins = load_penguins().drop(columns="year")
X, y = penguins.drop(columns="species"), penguins["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
X.head(4)

# %% [markdown]
# `island` and `sex` are text. `NaN` means that nobody could measure this penguin. Real data look
# like this, so a service has to take such rows too.

# %% [markdown] lang="zh-TW"
# `island` 和 `sex` 是文字；`NaN` 表示這隻企鵝的這一項沒有量到。真實的資料就是這個樣子，所以服務也得收得下這樣的資料列。

# %% [markdown]
# ## 2 The model
#
# A pipeline keeps the preparation and the model together. Why is that important for a service?

# %% [markdown] lang="zh-TW"
# ## 2 模型
#
# 管線（pipeline）把前處理和模型綁在一起。對服務來說，為什麼這很重要？

# %%
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
is_number = make_column_selector(dtype_include="number")
is_word = make_column_selector(dtype_exclude="number")

# %%
prepare = make_column_transformer((numbers, is_number), (words, is_word))
model = make_pipeline(prepare, LogisticRegression()).fit(X_train, y_train)
print(f"{model.score(X_test, y_test):.0%} of the test penguins are right")

# %% [markdown]
# A caller sends what was measured: "Biscoe", or nothing at all. The pipeline fills, scales and
# encodes it exactly as in training. Without the pipeline, every caller would have to do that.

# %% [markdown] lang="zh-TW"
# 呼叫端送來的是量測的原始值：可能是 "Biscoe"，也可能是空的。
# 管線會照訓練時的做法補值、縮放、編碼。少了管線，每個呼叫端都得自己做這些事。

# %% [markdown]
# ## 3 Deploy it
#
# One call. `example` shows what a row looks like: columns, types, missing values.

# %% [markdown] lang="zh-TW"
# ## 3 部署
#
# 只要一行呼叫。`example` 讓服務知道一列資料長什麼樣子：有哪些欄位、是什麼型別、哪裡可能缺值。

# %%
from nbdeploy import deploy

service = deploy(model, name="penguins", example=X_train)

# %% [markdown]
# The card tells where the service is, what a row looks like, and how to call it. The service runs
# in the background, so your notebook goes on.
#
# ## 4 Ask it
#
# `service.predict` sends the rows over HTTP, like any other program would.

# %% [markdown] lang="zh-TW"
# 這張卡片告訴你服務在哪裡、一列資料長什麼樣子、該怎麼呼叫。
# 服務在背景執行，notebook 可以繼續往下跑。
#
# ## 4 取得預測
#
# `service.predict` 和其他程式一樣，是透過 HTTP 把資料列送過去的。

# %% tags=["nbval-check-output"]
service.predict(X_test.head(4))

# %% [markdown]
# Does the way over the network change an answer? Guess first, then compare all test penguins.

# %% [markdown] lang="zh-TW"
# 答案繞了一趟網路，會不會變？先猜猜看，再拿所有測試用的企鵝來比對。

# %% tags=["nbval-check-output"]
same = service.predict(X_test) == model.predict(X_test)
print(f"{same.sum()} of {len(same)} answers are the same")
assert same.all()

# %% [markdown]
# No. The service gives the same answers as the model itself.
#
# Other people do not have your notebook. How do *they* call the service? Copy one of these:

# %% [markdown] lang="zh-TW"
# 不會。服務的答案和模型自己的答案完全一樣。
#
# 別人手上沒有你的 notebook，**他們**要怎麼呼叫這個服務？從下面複製一段就行：

# %%
service.snippets()

# %% [markdown]
# ## 5 Break it
#
# A caller types `bill_lenght_mm` instead of `bill_length_mm`. What do you expect: a wrong species,
# or an error?

# %% [markdown] lang="zh-TW"
# ## 5 弄壞它
#
# 呼叫端把 `bill_length_mm` 打成了 `bill_lenght_mm`。你覺得會怎樣：認錯物種，還是回報錯誤？

# %% tags=["raises-exception"]
penguin = X_test.iloc[0].to_dict()
penguin["bill_lenght_mm"] = penguin.pop("bill_length_mm")
service.predict(penguin)

# %% [markdown]
# An error, and that is good: a guess would be wrong without anybody noticing. The last line names
# the column and the name that was probably meant. The model was never asked.
#
# ## 6 What happened so far?

# %% [markdown] lang="zh-TW"
# 回報錯誤，而這是好事：要是隨便猜一個，錯了也沒人會發現。
# 最後一行指出是哪個欄位，還猜到你本來想打什麼。這個請求根本沒有送到模型那裡。
#
# ## 6 目前為止發生了什麼？

# %%
stats = service.stats()
{name: stats[name] for name in ("total_predictions", "error_rate", "avg_latency", "p95_latency")}

# %% [markdown]
# Three requests, and one of them failed: that was the typing error. The latencies are in seconds:
# 95 of 100 requests are faster than `p95_latency`.

# %% [markdown] lang="zh-TW"
# 三個請求，其中一個失敗，就是打錯字的那一個。延遲的單位是秒：
# 100 個請求裡有 95 個比 `p95_latency` 還快。

# %% [markdown]
# ## 7 Your turn
#
# Make up a penguin that the service calls a *Gentoo*. Change the values in the next cell until the
# check is content. When you are stuck, run `hint("quickstart.1")` in a new cell.

# %% [markdown] lang="zh-TW"
# ## 7 換你試試
#
# 編一隻會讓服務認成 Gentoo 的企鵝。修改下一格裡的值，直到通過檢查。
# 卡住的話，在新的儲存格執行 `hint("quickstart.1")`。

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below, press Ctrl + / (Cmd + / on a Mac), and change the values.

# penguin = {"island": "Torgersen", "bill_length_mm": 39, "bill_depth_mm": 18,
#            "flipper_length_mm": 190, "body_mass_g": 3700, "sex": "female"}
# check("quickstart.1", service, penguin)

# %% [markdown]
# *One answer is in the folded cell below. Open it when you have tried.*

# %% [markdown] lang="zh-TW"
# 下面收合的儲存格裡有一個參考答案，自己試過再打開。

# %% jupyter={"source_hidden": true}
penguin = {"island": "Biscoe", "bill_length_mm": 48, "bill_depth_mm": 14,
           "flipper_length_mm": 220, "body_mass_g": 5200, "sex": "male"}
check("quickstart.1", service, penguin)

# %% [markdown]
# ## 8 Stop
#
# A service ends with the notebook. You can also end it now, and free its port.

# %% [markdown] lang="zh-TW"
# ## 8 停止
#
# notebook 一關，服務就跟著結束。你也可以現在就停掉它，把連接埠讓出來。

# %%
service.stop()
service

# %% [markdown]
# **Next:** `01_save_and_load` shows what a saved model is and why it can be dangerous, and
# `03_rest_service` takes a service apart.

# %% [markdown] lang="zh-TW"
# **下一步**：`01_save_and_load` 說明儲存下來的模型究竟是什麼、為什麼可能有危險；
# `03_rest_service` 則把一個服務拆開來看。
