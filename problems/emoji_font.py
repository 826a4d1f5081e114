"""Pictures out of a colour font: Noto Color Emoji and fonts that are built like it."""

from typing import Any

from etils import epy

with epy.lazy_imports():
    from fontTools import ttLib

VARIATION_SELECTOR = "\ufe0f"  # asks for the colour picture; fonts have no glyph for it
_LIGATURES = 4  # type of a GSUB lookup


class EmojiFont:
    """The bitmaps of an OpenType font with a CBDT table."""

    def __init__(self, path: str) -> None:
        """Reads which characters and sequences the font has.

        Raises:
          ValueError: if the file is no font, or has no bitmaps.
        """
        try:
            with ttLib.TTFont(path) as font:
                self._glyphs: dict[int, str] = font.getBestCmap()
                self._bitmaps: dict[str, Any] = font["CBDT"].strikeData[0]
                self._ligatures = _ligatures(font)
        except (KeyError, IndexError, ttLib.TTLibError) as error:
            raise ValueError(
                f"'{path}' must be a font with colour bitmaps (CBDT); {error}. Unpack "
                "its package again."
            ) from error

    def picture(self, emoji: str) -> bytes | None:
        """Returns the PNG file of an emoji, or None if the font has no picture of it.

        Args:
          emoji: one character, or a sequence that is drawn as one.
        """
        codes = map(ord, emoji.replace(VARIATION_SELECTOR, ""))
        glyphs = tuple(self._glyphs.get(code, "") for code in codes)
        name = glyphs[0] if len(glyphs) == 1 else self._ligatures.get(glyphs, "")
        return getattr(self._bitmaps.get(name), "imageData", None)


def _ligatures(font: Any) -> dict[tuple[str, ...], str]:
    """Returns the glyph of each sequence of glyphs that is drawn as one."""
    if "GSUB" not in font:
        return {}
    found: dict[tuple[str, ...], str] = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for subtable in lookup.SubTable if lookup.LookupType == _LIGATURES else ():
            for first, ligatures in subtable.ligatures.items():
                for ligature in ligatures:
                    # A font tries its lookups in their order: the first one counts.
                    found.setdefault((first, *ligature.Component), ligature.LigGlyph)
    return found
