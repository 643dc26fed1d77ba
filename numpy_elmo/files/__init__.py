"""Models on disk: finding, checking and reading their files.  Computes nothing."""
