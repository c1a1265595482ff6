"""A sweep: requests → cells → jobs → outcomes, each cell once; launchers say where they run."""
