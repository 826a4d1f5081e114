"""Problems whose corpus is the content of Debian packages, unpacked into a folder."""

import os
from collections.abc import Sequence
from typing import ClassVar

from t2t_mm import problem
from t2t_mm.data import corpus as corpora


def packages_corpus(*packages: str) -> corpora.Corpus:
    """Returns the corpus of some packages, all unpacked into one folder."""
    names = " ".join(packages)
    return corpora.Corpus(
        name="debian",
        title=f"the Debian packages {names}",
        obtain=(
            f"in an empty folder, without root: apt-get download {names} && for f in "
            '*.deb; do dpkg-deb -x "$f" root; done; then PATH is that root. See '
            "docs/data.md."
        ),
        layout="the files of the packages, below usr/.",
    )


class PackageProblem(problem.Problem):
    """A problem made from files of Debian packages.

    Attributes:
      corpus: the packages.
      package_folder: what it reads, such as "usr/share/datasets"; relative to the
        user's folder of unpacked packages.
      package_files: files or folders that must be in `package_folder`.
    """

    corpus: ClassVar[corpora.Corpus]
    package_folder: ClassVar[str]
    package_files: ClassVar[tuple[str, ...]]

    def require_corpus_path(self) -> str:
        """Returns the path of `package_folder`; other packages do not matter.

        Raises:
          FileNotFoundError: if one of `package_files` is not there.
        """
        root = super().require_corpus_path()
        folder = os.path.join(root, self.package_folder)
        for name in self.package_files:
            if not os.path.exists(os.path.join(folder, name)):
                missing = os.path.normpath(os.path.join(self.package_folder, name))
                raise FileNotFoundError(
                    f"{self.name} needs '{missing}' below --corpus_path=debian. "
                    f"{self.corpus.help_page(self.name, root)}"
                )
        return folder

    def corpus_files(self) -> Sequence[str]:
        """Returns the folder, and what is needed that lies elsewhere."""
        folder = self.require_corpus_path()
        elsewhere = (name for name in self.package_files if name.startswith(os.pardir))
        return (folder, *(os.path.join(folder, name) for name in elsewhere))
