"""Section 2.1 of the chapter: a model as a service."""
