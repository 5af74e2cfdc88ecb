"""How often the printed intervals hold the truth: in simulated worlds, and on real data.

Real data are large labelled sets. A few labels are drawn from one, `fit` learns from them as it
does from a user's, and what it printed is compared with what its model does on all the rest.
"""
