"""THIN SHELLS: clocks, sockets and signals live here and nowhere else."""
