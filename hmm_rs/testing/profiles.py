"""How long hypothesis looks: a quick look before every commit, a thorough one now and then."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

__all__ = ["PROFILES", "use_profile"]

# A machine that others use stalls for seconds: a deadline would fail good code, as would a generation
# of arrays that hypothesis finds slow.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

#: Settings by name. "quick" tries the same few examples at every run, so that a red test was made red by
#: the change under test; "thorough" tries new ones, many of them, and prints how to replay a failure.
PROFILES: dict[str, settings] = {
    "quick": settings(_PATIENT, max_examples=25, derandomize=True),
    "thorough": settings(
        _PATIENT,
        max_examples=1000,
        print_blob=True,
        phases=[phase for phase in Phase if phase is not Phase.explain],
    ),
}

for _name, _settings in PROFILES.items():
    settings.register_profile(_name, _settings)


def use_profile(name: str = "quick") -> None:
    """Use one of :data:`PROFILES` from now on.

    Both are registered with hypothesis when :mod:`hmm_rs.testing` is imported, so
    ``pytest --hypothesis-profile=thorough`` does the same from outside.

    Parameters
    ----------
    name
        "quick" or "thorough".

    Examples
    --------
    >>> from hypothesis import settings
    >>> from hmm_rs.testing import use_profile
    >>> use_profile("quick")
    >>> settings.default.max_examples
    25
    """
    settings.load_profile(name)
