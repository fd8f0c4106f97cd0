"""Drivers: the simulations a user runs."""

from .driver import Driver, ResumeOptions, RunOptions, load, logtimes, resume
from .full_batch import FullBatch
from .gradient_flow import GradientFlow
from .kernel_flow import KernelFlow
from .online_sgd import OnlineSGD
from .particles import Particles
from .schedule import log_linear_steps

__all__ = [
    "Driver",
    "FullBatch",
    "GradientFlow",
    "KernelFlow",
    "OnlineSGD",
    "Particles",
    "ResumeOptions",
    "RunOptions",
    "load",
    "log_linear_steps",
    "logtimes",
    "resume",
]
