"""Problems whose corpus is the content of Debian packages, unpacked into a folder."""

import os
from typing import ClassVar

from t2t_mm import problem

MAX_NAMES_IN_MESSAGE = 5


def how_to_unpack(*packages: str) -> str:
    """Returns, for an error message, which packages are needed and how to get them."""
    names = " ".join(packages)
    return (
        f"PATH is the folder into which these packages are unpacked: {names}. In an "
        f"empty folder, without root: apt-get download {names} && for f in *.deb; do "
        'dpkg-deb -x "$f" root; done; then PATH is that root. See docs/data.md.'
    )


class PackageProblem(problem.Problem):
    """A problem made from files of Debian packages.

    Attributes:
      package_folder: what it reads, such as "usr/share/datasets"; relative to the
        user's folder of unpacked packages.
      package_files: files or folders that must be in `package_folder`.
    """

    corpus: ClassVar[str | None] = "debian"
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
                missing = os.path.join(self.package_folder, name)
                raise FileNotFoundError(
                    f"{self.name} needs '{missing}' below --corpus_path="
                    f"{self.corpus}={root}, which {_describe(root)}. "
                    f"{self.corpus_contents}"
                )
        return folder


def _describe(path: str) -> str:
    if not os.path.isdir(path):
        return "is a file"
    names = sorted(os.listdir(path))
    more = ", ..." if len(names) > MAX_NAMES_IN_MESSAGE else ""
    return f"holds {', '.join(names[:MAX_NAMES_IN_MESSAGE]) or 'nothing'}{more}"
