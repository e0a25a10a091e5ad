"""Pure data: what the rest of the engine passes around. No I/O."""
