"""Who should get what: from what is known to the question for the allocation, and its answer as a plan."""
