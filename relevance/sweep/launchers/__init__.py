"""Where cells run: jobs → their outcomes, each as it ends; each module is a train.job.Launch.

local: in worker processes of this machine, or in this one.  ray: Ray tasks.  slurm: a job array.
"""
