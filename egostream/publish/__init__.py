"""Publishing: poses and status in, messages on a ZeroMQ socket out; and the client that reads them."""
