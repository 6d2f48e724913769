"""How things look: HTML, text and MIME bundles, in one place."""
