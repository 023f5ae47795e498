"""The verbs of the command line, one module each: options and help here, the work elsewhere."""
