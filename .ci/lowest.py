"""Print the lowest versions that pyproject.toml declares for running and testing, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
for declared in project["dependencies"] + project["optional-dependencies"]["test"]:
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", declared).groups()
    print(f"{name}=={version}")
