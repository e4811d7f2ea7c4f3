"""The only room that knows all the others: order, resume, exit status."""

from __future__ import annotations

from pipeline.run.drifting import diagnose_run, drift_of
from pipeline.run.job import run
from pipeline.run.planning import plan
from pipeline.run.predicting import predict
from pipeline.run.reporting import rebuild_report
from pipeline.run.status import status

__all__ = ["diagnose_run", "drift_of", "plan", "predict", "rebuild_report", "run", "status"]
