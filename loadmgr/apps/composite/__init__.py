"""``loadmgr composite``: profiles stacked and explained."""
