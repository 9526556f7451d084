"""The tables of README.md, benchmarks/README.md and the pages, written from the records."""
