"""What is kept: a journal of every observation, command, answer and decision, and the memory that a restart needs."""
