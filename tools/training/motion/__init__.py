"""Training of motion from the body: simulated people without pictures, and the network that learns from them."""
