"""What comes from outside: limits of others, from a file, a relay or a command."""
