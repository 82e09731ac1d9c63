"""Small nonlinear least squares in torch: variables on manifolds, residual terms, robust losses, Levenberg-Marquardt."""

from diorama.solver.levenberg_marquardt import LMConfig, Solution, solve
from diorama.solver.robust import GemanMcClure, Huber, RobustLoss, Squared
from diorama.solver.terms import Block, Condensed, CondensedTerm, Linearized, Span, Term, Values, autodiff_term
from diorama.solver.variables import Variable

__all__ = [
    "Block",
    "Condensed",
    "CondensedTerm",
    "GemanMcClure",
    "Huber",
    "LMConfig",
    "Linearized",
    "RobustLoss",
    "Solution",
    "Span",
    "Squared",
    "Term",
    "Values",
    "Variable",
    "autodiff_term",
    "solve",
]
