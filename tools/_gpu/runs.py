"""The parts by name."""

from tools._gpu.cases import run_cases, run_sanitizer, run_tests
from tools._gpu.exchange import run_exchange
from tools._gpu.speed import run_speed
from tools._gpu.training import run_training

RUNS = {
    "cases": run_cases,
    "tests": run_tests,
    "exchange": run_exchange,
    "training": run_training,
    "speed": run_speed,
    "sanitizer": run_sanitizer,
}
