"""Between wire and control: pure functions, no state."""
