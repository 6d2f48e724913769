"""Several endpoints behind one address, and how many there should be (chapter 4)."""
