"""The works that the package rests on: what to cite, in words and as BibTeX."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIBRARY", "WORKS", "Work"]


@dataclass(frozen=True)
class Work:
    """One work.

    Parameters
    ----------
    authors
        Initials and surname of each.
    title
        Its title.
    year
        Of publication.
    where
        Journal, volume and first page, or conference, as cited in a sentence; "" for a preprint alone.
    arxiv
        Number at arXiv, "" if there is none.
    entry
        BibTeX fields of where it was published.
    """

    authors: tuple[str, ...]
    title: str
    year: int
    where: str
    arxiv: str
    entry: tuple[tuple[str, str], ...] = ()

    @property
    def sentence(self) -> str:
        """The work in one line."""
        preprint = f"arXiv:{self.arxiv}" if self.arxiv else ""
        return ", ".join(part for part in (*self.authors, self.title, self.where, preprint) if part)

    def bibtex(self, key: str) -> str:
        """Return the work as a BibTeX entry."""
        fields = {"author": " and ".join(self.authors), "title": f"{{{self.title}}}", **dict(self.entry)}
        if self.year:
            fields["year"] = str(self.year)
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        kind = "inproceedings" if "booktitle" in fields else "article" if "journal" in fields else "misc"
        width = max(map(len, fields))
        lines = [f"  {name:<{width}} = {{{value}}}," for name, value in fields.items()]
        return "\n".join([f"@{kind}{{{key},", *lines, "}"])


#: Works by citation key.
WORKS: dict[str, Work] = {
    "hidden-manifold": Work(
        ("S. Goldt", "M. Mézard", "F. Krzakala", "L. Zdeborová"),
        "Modeling the influence of data structure on learning in neural networks: the hidden manifold model",
        2020,
        "Phys. Rev. X 10, 041044 (2020)",
        "1909.11500",
        (("journal", "Phys. Rev. X"), ("volume", "10"), ("pages", "041044")),
    ),
    "gaussian-equivalence": Work(
        ("S. Goldt", "B. Loureiro", "G. Reeves", "F. Krzakala", "M. Mézard", "L. Zdeborová"),
        "The Gaussian equivalence of generative models for learning with shallow neural networks",
        2020,
        "",
        "2006.14709",
    ),
    "gaussian-covariate-model": Work(
        (
            "B. Loureiro",
            "C. Gerbelot",
            "H. Cui",
            "S. Goldt",
            "F. Krzakala",
            "M. Mézard",
            "L. Zdeborová",
        ),
        "Learning curves of generic features maps for realistic datasets with a teacher-student model",
        2021,
        "NeurIPS 2021",
        "2102.08127",
        (("booktitle", "NeurIPS 2021"),),
    ),
    "hinge-mean-field": Work(
        ("F. Pellegrini", "G. Biroli"),
        "An analytic theory of shallow networks dynamics for hinge loss classification",
        2020,
        "NeurIPS 2020",
        "2006.11209",
        (("booktitle", "NeurIPS 2020"),),
    ),
    "geometric-compression": Work(
        ("J. Paccolat", "L. Petrini", "M. Geiger", "K. Tyloo", "M. Wyart"),
        "Geometric compression of invariant manifolds in neural networks",
        2021,
        "J. Stat. Mech. (2021) 044001",
        "2007.11471",
        (("journal", "J. Stat. Mech."), ("pages", "044001"), ("doi", "10.1088/1742-5468/abf1f3")),
    ),
    "saad-solla": Work(
        ("D. Saad", "S. A. Solla"),
        "On-line learning in soft committee machines",
        1995,
        "Phys. Rev. E 52, 4225 (1995)",
        "",
        (("journal", "Phys. Rev. E"), ("volume", "52"), ("pages", "4225")),
    ),
}

#: The package itself, as in CITATION.cff; its version is added where it is cited.
LIBRARY = Work(
    ("{The hmm_rs developers}",),
    "hmm_rs: the hidden manifold model and its relatives, simulated and solved",
    0,
    "",
    "",
)
