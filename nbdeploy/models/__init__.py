"""Section 1 of the chapter: what a model is, how it is saved and what its rows look like."""
