"""Make notebooks of percent scripts, run them once, and tell when they drifted apart."""
