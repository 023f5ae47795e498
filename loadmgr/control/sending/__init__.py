"""What is sent: profiles, the order of changes, budgets of writes, and what the answers prove."""
