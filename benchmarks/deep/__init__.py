"""Deep methods: protocols, trials, analyses, steps."""
