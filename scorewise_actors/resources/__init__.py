"""What the tree uses of the machine."""
