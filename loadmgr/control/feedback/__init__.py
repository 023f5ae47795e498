"""What is seen: observations folded into what is known of sessions, draws, energy and obedience."""
