"""One adapter a wire protocol: decode a request, encode a prediction, nothing else."""
