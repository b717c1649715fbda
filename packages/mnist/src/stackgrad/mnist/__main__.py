"""`python -m stackgrad.mnist`, as the command `stackgrad-mnist`: what `mpiexec -n 2 python -m mpi4py -m` is given."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="stackgrad-mnist")
