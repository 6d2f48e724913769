"""Chapter 4: more than one process behind one URL."""
