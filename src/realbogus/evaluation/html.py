"""How every HTML page is filled in: all text escaped, and nothing left out in silence."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["environment"]


def environment(package: str) -> Environment:
    """Return the template engine for the templates of a package, such as `realbogus.evaluation`.

    Names from outside are escaped; what is meant as markup has to come as `markupsafe.Markup`. A
    value that a template asks for and does not get is an error.

    Examples
    --------
    >>> page = environment("realbogus.evaluation").from_string("<p>{{ name }}</p>")
    >>> page.render(name="<b>")
    '<p>&lt;b&gt;</p>'
    """
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
