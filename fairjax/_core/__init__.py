"""What several rooms of the package need, and users do not: see the first line of each module."""
