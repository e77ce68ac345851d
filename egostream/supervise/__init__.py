"""Supervision, the parent process: settings in, a checked run and its running processes out."""
