"""What a bug report is told."""

from importlib import metadata

import numpy as np

import hmm_rs as hr
from hmm_rs.ground import versions


def test_versions_are_shown_with_what_is_not_installed(monkeypatch, capsys):
    known = metadata.version

    def without_dask(name):
        if name == "dask":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(versions.metadata, "version", without_dask)
    hr.show_versions()
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "set" not in line)
    assert told["hmm_rs"] == hr.__version__
    assert told["threads"] == str(hr.get_num_threads())
    assert told["numpy"] == np.__version__
    assert told["dask"] == "not installed"
