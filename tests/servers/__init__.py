"""Small real servers on loopback, standing in for what a running index talks to."""
