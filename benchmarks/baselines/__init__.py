"""Other methods: beside their authors' codes, and side by side."""
