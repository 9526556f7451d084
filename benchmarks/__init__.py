"""What is measured of fairjax, case by case: ``python -m benchmarks --list``."""
