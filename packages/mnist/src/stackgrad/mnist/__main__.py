"""`python -m stackgrad.mnist` runs the command `stackgrad-mnist`. MPI launchers need this form."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="stackgrad-mnist")
