"""python -m relevance.sweep.launchers.worker: jobs on stdin, one a line → outcomes on stdout; started by Sequential."""

import os
import sys

from relevance.train.processes import die_with_parent, stoppable


def main() -> None:
    """Attempt jobs until there are no more. All else that is printed goes to stderr."""
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))  # named: one that is gone by now cannot be asked for
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from relevance.sweep.attempt import attempt
    from relevance.train.job import Outcome, thaw

    for line in sys.stdin:
        job = thaw(line)
        try:
            with stoppable():
                outcome = attempt(job)
        except KeyboardInterrupt:
            outcome = Outcome(f"{job.place}: KILLED by SIGTERM", "killed by SIGTERM", last=True)
        try:
            answers.write(outcome.text() + "\n")
        except BrokenPipeError:  # the sweep is gone; what the cell did is in its record
            return
        if outcome.last:
            raise SystemExit(143)


if __name__ == "__main__":
    main()
