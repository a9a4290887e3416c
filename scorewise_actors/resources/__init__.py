"""What the machine has left and what the program uses of it."""

from scorewise_actors.resources.samples import Sample, Sampler

__all__ = ["Sample", "Sampler"]
