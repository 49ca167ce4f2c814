"""Markdown (CommonMark, with tables and strikethrough) as HTML that is safe to show anywhere.

What people write is untrusted twice: raw HTML is text, and what was rendered is cut down to the
elements below, so that a mistake of either library alone lets nothing through.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import marshmallow as ma

from taskapi.core.schemas import Text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

MAX_SOURCE_BYTES = 65_536
# A table row fills up its missing cells, so that a short source can become a long page.
HTML_BYTES_PER_BYTE, FREE_HTML_BYTES = 6, 65_536
# What costs most time for each byte; people write a fraction of it.
MARKS = re.compile(r"[\[*_\n]")
MAX_MARKS = 16_000
# Of blocks: a list item has five, a cell three.
MAX_TOKENS = 60_000
TOO_MUCH = "It has too many lines, list items, cells, brackets, asterisks or underscores."
MAX_MENTIONS = 50
TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li"),
    *("strong", "em", "s", "a", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
# A class stands at code alone, and says its language.
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}, "th": {"style"}, "td": {"style"}}
SCHEMES = {"http", "https", "mailto"}
# A username, not behind a letter (as in an address) or a slash (as in a URL).
MENTION = re.compile(r"(?<![\w.@/-])@(\w(?:[\w.-]{0,48}\w)?)(?!\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What somebody wrote, and what became of it.

    Attributes:
        mentions: usernames behind an @, as they were written, each once; those in code do not count.
    """

    source: str
    html: str
    mentions: tuple[str, ...]


class Markdown(Text):
    """Markdown in a request; it is rendered here, before a transaction is open."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(minimum=1, maximum=MAX_SOURCE_BYTES, single_line=False, **kwargs)

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        # Once it is known to be short enough.
        text = super().deserialize(value, attr, data, **kwargs)
        return render(text) if isinstance(text, str) else text


def render(source: str) -> Rendered:
    """
    Raises:
        marshmallow.ValidationError: it is too long, becomes too long, takes too much time, or mentions
            too many people.
    """
    if len(source.encode()) > MAX_SOURCE_BYTES:
        raise ma.ValidationError(f"Send {MAX_SOURCE_BYTES:,} bytes of UTF-8 at most.")
    if len(MARKS.findall(source)) > MAX_MARKS:
        raise ma.ValidationError(TOO_MUCH)
    parser = _parser()
    tokens = parser.parse(source)
    mentions = tuple(dict.fromkeys(_mentions(tokens)))
    if len(mentions) > MAX_MENTIONS:
        raise ma.ValidationError(f"Mention {MAX_MENTIONS} people at most.")
    html = parser.renderer.render(tokens, parser.options, {})
    if len(html.encode()) > HTML_BYTES_PER_BYTE * len(source.encode()) + FREE_HTML_BYTES:
        raise ma.ValidationError("It becomes too long when it is rendered.")
    return Rendered(source=source, html=_sanitized(html), mentions=mentions)


def _sanitized(html: str) -> str:
    import nh3

    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        filter_style_properties={"text-align"},
        url_schemes=SCHEMES,
        # Of another page than the one it is shown on; //host would be one, too.
        url_relative="deny",
        link_rel="nofollow noopener",
    )


def _mentions(tokens: "Sequence[Token]") -> Iterator[str]:
    for token in tokens:
        for child in token.children or ():
            if child.type == "text":
                yield from (match[1] for match in MENTION.finditer(child.content))


def _image_as_link(
    renderer: "RendererHTML", tokens: "Sequence[Token]", index: int, options: Any, environment: Any
) -> str:
    """An image tells its server who looks at it, and when; a link does so when it is followed."""
    from markdown_it.common.utils import escapeHtml

    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    words = renderer.renderInlineAsText(token.children, options, environment) or source
    return f'<a href="{escapeHtml(source)}">{escapeHtml(words)}</a>'


def _refuse_too_much(state: "StateCore") -> None:
    if len(state.tokens) > MAX_TOKENS:
        raise ma.ValidationError(TOO_MUCH)


@cache
def _parser() -> "MarkdownIt":
    """Loaded with the first text: most processes never render one."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image_as_link)
    # Before the text of each block is read.
    parser.core.ruler.after("block", "refuse_too_much", _refuse_too_much)
    return parser
