"""Where site files are: a path, or the name of a sample that comes with the package."""

from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.site_file.likeness import suggestion

_PACKAGE = Path(__file__).parents[1]


def sample_folder() -> Path:
    """Return the folder of the sample sites: inside the installed package, or beside it in a checkout."""
    inside = _PACKAGE / "sample_sites"
    return inside if inside.is_dir() else _PACKAGE.parent / "sample_sites"


def site_names() -> tuple[str, ...]:
    """Return the names of the sample sites that are there."""
    return tuple(sorted(path.stem for path in sample_folder().glob("*.yaml")))


def find_site(name_or_path: str | Path) -> Path:
    """Return the path of a site file given by path, or by the name of a sample such as ``garage``.

    Raises
    ------
    InputError
        If there is neither such a file nor such a sample.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    name = path.name.removesuffix(".yaml").removesuffix(".yml")
    if path.parent == Path() and name in site_names():
        return sample_folder() / f"{name}.yaml"
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a site file in it, or a sample: {', '.join(site_names())}")
    advice = suggestion(name, site_names(), kind="samples")
    raise InputError(f"there is no site file {path}, and no sample of that name; {advice}")
