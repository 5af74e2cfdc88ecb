"""Choosing, measured: rankings next to fine-tuning all, and the strategies tried next to a grid.

For each target every source is fine-tuned, which says what following the ranking, or the prior,
would have cost; on the source that the ranking puts first, a grid of strategies is trained and
compared with what `-s auto` hands over. All is judged on a test split that no choice saw. What was
trained is kept under `.work/choosing`, so that a run that was stopped goes on.
"""
