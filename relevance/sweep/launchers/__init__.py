"""Where cells run: jobs → their outcomes, each as it ends; each module is a train.job.Launch.

sequential: one after another in a worker process, or in this one.  ray: Ray tasks.  slurm: a job array.
"""
