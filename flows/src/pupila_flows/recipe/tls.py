"""The recipe's section `runner`: a cluster, and the certificates of its machines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from pupila_flows.recipe.section import Section


class TlsFiles(NamedTuple):
    """Paths of the authority's certificate, this machine's certificate and its private key."""

    ca: Path
    cert: Path
    key: Path


class TlsSection(Section):
    """Certificates of this machine and its cluster; paths are written like `data.path`."""

    ca: str = Field(description="Certificate of the authority that signed all others.")
    cert: str = Field(description="Certificate of this machine.")
    key: str = Field(description="Private key of this machine, which nobody else may read.")


class RunnerSection(Section):
    """The cluster that reads teachers and runs steps, instead of this machine."""

    use: Literal["dask"] = Field(
        description="`dask`: a Dask cluster whose workers see the workspace, the images and the "
        "teachers under the same paths."
    )
    address: str = Field(description="Address of the cluster's scheduler, like `tls://host:8786`.")
    tls: TlsSection | None = Field(
        default=None,
        description="Certificates, if the address begins with `tls://`; by default those of "
        "Dask's own configuration.",
    )
