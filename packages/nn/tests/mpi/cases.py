"""Run by `test_mpi.py` under mpiexec: a case is a function that asserts, on each rank."""

import sys
from pathlib import Path

import cases_around  # noqa: F401 - importing registers the cases
import cases_disagreeing  # noqa: F401
import cases_training  # noqa: F401
from ranks import main

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
