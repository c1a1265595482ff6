"""Where cells run: jobs → their outcomes, one by one as they end; each module is one train.job.Launch.

sequential: one after another in a worker process, or in this one.  ray: Ray tasks.  slurm: a job array.
"""
