"""The actors of a system, one file each; ``messages`` says who tells what to whom."""
