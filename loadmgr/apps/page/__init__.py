"""What the page shows of a running site."""
