# SPDX-License-Identifier: Apache-2.0
"""What the tests of delivery share: a user's home, a profile of the lab's, and how often the lab was asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from program import Lab, Pki, Result


@dataclass(frozen=True)
class Home:
    """A user's home, with a certificate that the lab takes."""

    pki: Pki
    lab: Lab
    ca: Path

    @property
    def config(self) -> Path:
        return self.pki.home / ".aws/config"

    @property
    def credentials(self) -> Path:
        return self.pki.home / ".aws/credentials"

    @property
    def cache(self) -> Path:
        return self.pki.home / ".cache/pki/credentials"

    def options(self, name: str = "client") -> list[str]:
        """What makes a certificate and the lab known to a command."""
        files = ["--certificate", str(self.ca / f"{name}-cert.pem"), "--private-key", str(self.ca / f"{name}-key.pem")]
        return [*files, *self.lab.arguments]

    def configure(self, profile: str, *more: str) -> Result:
        return self.pki.run("configure", "--profile", profile, *self.options(), *more)

    @property
    def sessions(self) -> int:
        """How many sessions the lab has granted."""
        return len(re.findall(r" 201 CreateSession ", self.lab.said))


SECRETS = re.compile(r"\"(?:SecretAccessKey|SessionToken)\":\"([^\"]+)\"")


def secrets(text: str) -> list[str]:
    """The secrets in what credential_process prints."""
    found = SECRETS.findall(text)
    assert len(found) == 2
    return found
