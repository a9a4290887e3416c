"""What the machine has left."""
