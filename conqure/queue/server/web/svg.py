"""SVG as text, escaped by construction: whatever is not an `Svg` already becomes text, never markup.

Colours come from the stylesheet by class, so that a drawing follows light and dark and no style is inline.
"""

from __future__ import annotations

from html import escape


class Svg(str):
    """Markup that is safe to put into a page as it is; templates ask for it by ``__html__``."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def element(name: str, /, *children: object, **attributes: object) -> Svg:
    """One element; ``None`` leaves an attribute out, ``_`` in a name is ``-``, a trailing one is dropped.

    >>> element("text", "<b>", x=1, class_="label")
    '<text x="1" class="label">&lt;b&gt;</text>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(child if isinstance(child, Svg) else escape(str(child)) for child in children)
    return Svg(f"<{name}{given}>{inside}</{name}>" if inside else f"<{name}{given}/>")


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
