"""The only room that knows all the others: order, resume, exit status.

Each command has a file: `job.run`, `planning.plan`, `predicting.predict`, `status.status`,
`reporting.rebuild_report`, `drifting.diagnose_run` and `drift_of`. None is imported here, so that a
command starts with what it needs alone.
"""
