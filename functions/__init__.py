"""HTTP, and only HTTP: each operation of the API is a small function over the engine."""
