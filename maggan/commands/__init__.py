"""What `python -m maggan.NAME` runs, for each NAME that no package is called after; the others have a `__main__`."""
