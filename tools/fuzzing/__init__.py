"""Fuzzing by a command: the child that tries inputs, what both processes see of it, and findings as files."""
