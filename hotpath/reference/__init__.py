"""Plain-Python twins of the compiled modules: short, slow, obviously right. HOTPATH=python runs them."""
