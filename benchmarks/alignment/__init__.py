"""The alignment route: the paper's tables, and where its time goes."""
