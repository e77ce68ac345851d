"""What breaks a running pipeline on purpose, and looks at what that does: the parts of ``tools/chaos.py``."""
