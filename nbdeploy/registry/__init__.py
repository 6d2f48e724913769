"""Section 1.2 of the chapter: every model that was ever live, under a name, with a way back."""
