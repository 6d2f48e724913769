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

# %% [markdown]
# ## 1 The data
#
# 344 penguins were measured on three islands in Antarctica. The model is to tell the species.
#
# Look at the table: which columns are text? Where is a value missing?

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

# %% [markdown]
# ## 2 The model
#
# A pipeline keeps the preparation and the model together. Why is that important for a service?

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

# %% [markdown]
# ## 3 Deploy it
#
# One call. `example` shows what a row looks like: columns, types, missing values.

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

# %% tags=["nbval-check-output"]
service.predict(X_test.head(4))

# %% [markdown]
# Does the way over the network change an answer? Guess first, then compare all test penguins.

# %% tags=["nbval-check-output"]
same = service.predict(X_test) == model.predict(X_test)
print(f"{same.sum()} of {len(same)} answers are the same")
assert same.all()

# %% [markdown]
# No. The service gives the same answers as the model itself.
#
# Other people do not have your notebook. How do *they* call the service? Copy one of these:

# %%
service.snippets()

# %% [markdown]
# ## 5 Break it
#
# A caller types `bill_lenght_mm` instead of `bill_length_mm`. What do you expect: a wrong species,
# or an error?

# %% tags=["raises-exception"]
penguin = X_test.iloc[0].to_dict()
penguin["bill_lenght_mm"] = penguin.pop("bill_length_mm")
service.predict(penguin)

# %% [markdown]
# An error, and that is good: a guess would be wrong without anybody noticing. The last line names
# the column and the name that was probably meant. The model was never asked.
#
# ## 6 What happened so far?

# %%
stats = service.stats()
{name: stats[name] for name in ("total_predictions", "error_rate", "avg_latency", "p95_latency")}

# %% [markdown]
# Three requests, and one of them failed: that was the typing error. The latencies are in seconds:
# 95 of 100 requests are faster than `p95_latency`.

# %% [markdown]
# ## 7 Your turn
#
# Make up a penguin that the service calls a *Gentoo*. Change the values in the next cell until the
# check is content. When you are stuck, run `hint("quickstart.1")` in a new cell.

# %%
from nbdeploy.teach import check, hint

# Your turn. Mark the lines below, press Ctrl + / (Cmd + / on a Mac), and change the values.

# penguin = {"island": "Torgersen", "bill_length_mm": 39, "bill_depth_mm": 18,
#            "flipper_length_mm": 190, "body_mass_g": 3700, "sex": "female"}
# check("quickstart.1", service, penguin)

# %% [markdown]
# *One answer is in the folded cell below. Open it when you have tried.*

# %% jupyter={"source_hidden": true}
penguin = {"island": "Biscoe", "bill_length_mm": 48, "bill_depth_mm": 14,
           "flipper_length_mm": 220, "body_mass_g": 5200, "sex": "male"}
check("quickstart.1", service, penguin)

# %% [markdown]
# ## 8 Stop
#
# A service ends with the notebook. You can also end it now, and free its port.

# %%
service.stop()
service

# %% [markdown]
# **Next:** `01_save_and_load` shows what a saved model is and why it can be dangerous, and
# `03_rest_service` takes a service apart.
