"""The methods: settings, stages and estimator of each in one file, listed in `fairjax.deep.methods.catalogue`."""
