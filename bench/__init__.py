"""What scorewise-actors costs, measured side by side with what it is compared to, in one run: ``python -m bench``.

One file per bench; ``spec`` says what a bench is, ``rows`` what it reports, ``__main__`` lists and runs them. Figures
that can be compared are made in interleaved rounds, so that a change of load on the machine falls on all of them, and
ratios are taken within a round.
"""
