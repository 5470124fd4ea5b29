"""What every layer stands on and what has nothing to do with faces: errors, paths, progress, files, processes."""
