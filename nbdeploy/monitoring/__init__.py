"""Section 2.2 of the chapter: what a service did, in numbers."""
