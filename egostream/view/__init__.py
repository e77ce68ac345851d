"""The page that shows a run, and its server: a client in a process of its own, which no process of a run imports."""
