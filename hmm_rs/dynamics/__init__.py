"""Drivers: the simulations a user runs."""

from .driver import Driver
from .full_batch import FullBatch
from .gradient_flow import GradientFlow
from .kernel_flow import KernelFlow
from .message_passing import amp
from .online_sgd import OnlineSGD
from .options import ResumeOptions, RunOptions
from .particles import Particles
from .resuming import load, resume
from .schedule import log_linear_steps, logtimes

__all__ = [
    "Driver",
    "FullBatch",
    "GradientFlow",
    "KernelFlow",
    "OnlineSGD",
    "Particles",
    "ResumeOptions",
    "RunOptions",
    "amp",
    "load",
    "log_linear_steps",
    "logtimes",
    "resume",
]
