"""What outlives a process: checkpoints, models, the run lock, spools, and reading users' zarr.

Three layers, each importing only those before it: values to bytes (`codec`, `group`, `trees`),
protocols on files that tests can make fail at any operation (`checkpoint`, `model`, `lock`), and
rows from zarr stores that never turn what is missing into zeros (`zarr_source`, `spool`).
"""
