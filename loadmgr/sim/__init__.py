"""A WORLD TO TRY IT IN: vehicles, stations and time that never waits."""
