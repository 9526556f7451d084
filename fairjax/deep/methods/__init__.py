"""The methods: settings, stages and estimator of each in one file, and what they share."""
